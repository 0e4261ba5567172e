#include "engine/dns/message_reader.h"

#include <fmt/format.h>

#include <iterator>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

constexpr size_t name_octets_max = 255;  // RFC 1035 section 2.3.4, on the wire
constexpr unsigned pointers_max = 127;   // as many labels as a name can have

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

}  // namespace

std::optional<uint8_t> MessageReader::take_u8() {
  if (left() < 1) return go_to(message_.size()), std::nullopt;
  return std::to_integer<uint8_t>(message_[offset_++]);
}

std::optional<uint16_t> MessageReader::take_u16() {
  const auto high = take_u8(), low = take_u8();
  if (!high || !low) return std::nullopt;
  return static_cast<uint16_t>(*high << 8 | *low);
}

std::optional<uint32_t> MessageReader::take_u32() {
  const auto high = take_u16(), low = take_u16();
  if (!high || !low) return std::nullopt;
  return static_cast<uint32_t>(*high) << 16 | *low;
}

bool MessageReader::skip(size_t octets) {
  if (octets > left()) return go_to(message_.size()), false;
  offset_ += octets;
  return true;
}

void MessageReader::go_to(size_t offset) {
  CHECK(offset <= message_.size());
  offset_ = offset;
}

std::optional<std::string> MessageReader::take_name() {
  std::string text;
  if (!take_labels(&text)) return go_to(message_.size()), std::nullopt;
  return text;
}

bool MessageReader::skip_name() { return take_labels(nullptr) || (go_to(message_.size()), false); }

bool MessageReader::take_labels(std::string* text) {
  size_t at = offset_, octets = 1;
  // A pointer leads to before the name it stands in, so that each one leads further to the front.
  size_t pointers_below = offset_;
  unsigned pointers = 0;
  std::optional<size_t> end;  // behind the name's first pointer
  for (;;) {
    if (at >= message_.size()) return false;
    const auto length = std::to_integer<uint8_t>(message_[at]);
    if (length >= 0xC0) {
      if (at + 1 >= message_.size()) return false;
      const size_t target =
          static_cast<size_t>(length & 0x3F) << 8 | std::to_integer<uint8_t>(message_[at + 1]);
      if (target >= pointers_below || ++pointers > pointers_max) return false;
      if (!end) end = at + 2;
      at = pointers_below = target;
      continue;
    }
    if (length >= 0x40) return false;  // RFC 6891 section 5: no other types of label are in use
    ++at;
    if (length == 0) break;
    octets += length + 1u;
    if (at + length > message_.size() || octets > name_octets_max) return false;
    if (text) {
      if (!text->empty()) *text += '.';
      for (size_t i = 0; i < length; ++i) {
        const char c = lower(std::to_integer<char>(message_[at + i]));
        if (is_plain(c))
          *text += c;
        else
          fmt::format_to(std::back_inserter(*text), "\\{:03}", static_cast<unsigned char>(c));
      }
    }
    at += length;
  }
  offset_ = end.value_or(at);
  return true;
}

}  // namespace sluice::engine::dns
