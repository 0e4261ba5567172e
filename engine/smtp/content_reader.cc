#include "engine/smtp/content_reader.h"

#include <algorithm>

namespace sluice::engine::smtp {
namespace {

constexpr std::string_view final_dot = ".\r\n";

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void ContentReader::begin_data() { *this = ContentReader(); }

void ContentReader::begin_chunk(uint64_t octets, bool is_first, bool is_last) {
  if (is_first) *this = ContentReader();
  is_data_ = false;
  chunk_bytes_ = octets;
  is_last_chunk_ = is_last;
}

ContentReader::Step ContentReader::take(std::span<const std::byte>& input) {
  return is_data_ ? take_data(input) : take_chunk(input);
}

ContentReader::Step ContentReader::give(std::string_view piece) {
  piece_ = piece;
  wire_bytes_ += piece.size();
  return Step::piece;
}

ContentReader::Step ContentReader::take_data(std::span<const std::byte>& input) {
  const std::string_view text = as_text(input);
  size_t end = 0;
  if (held_ == 0) {
    for (;;) {
      end += scanner_.pass(text.substr(end));
      // A line that begins with a dot, and goes on: more of the same piece.
      if (final_dot.starts_with(text.substr(end, final_dot.size()))) break;
      scanner_.pass_dot();
      ++stuffed_dots_;
      ++end;
    }
    if (end > 0) {
      input = input.subspan(end);
      return give(text.substr(0, end));
    }
  }
  for (; end < text.size() && text[end] == final_dot[held_]; ++end)
    if (++held_ == final_dot.size()) {
      held_ = 0;
      input = input.subspan(end + 1);
      return Step::ended;
    }
  input = input.subspan(end);
  if (end == text.size()) return Step::needs_input;
  const std::string_view held = final_dot.substr(0, held_);
  scanner_.pass_dot();
  scanner_.pass(held.substr(1));
  ++stuffed_dots_;
  held_ = 0;
  return give(held);
}

ContentReader::Step ContentReader::take_chunk(std::span<const std::byte>& input) {
  if (chunk_bytes_ == 0) {
    if (!is_last_chunk_ || scanner_.is_at_line_start()) return Step::ended;
    scanner_.end();
    scanner_.pass("\r\n");
    return give("\r\n");
  }
  if (input.empty()) return Step::needs_input;
  const std::string_view text =
      as_text(input.first(static_cast<size_t>(std::min<uint64_t>(chunk_bytes_, input.size()))));
  const size_t end = scanner_.pass(text);
  const bool is_dot = end == 0;
  const size_t taken = is_dot ? 1 : end;
  chunk_bytes_ -= taken;
  input = input.subspan(taken);
  if (!is_dot) return give(text.substr(0, end));
  scanner_.pass_dot();
  ++stuffed_dots_;
  return give("..");
}

}  // namespace sluice::engine::smtp
