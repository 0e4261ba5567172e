#include "engine/https/reply.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace sluice::engine::https {
namespace {

using Read = std::expected<std::optional<Reply>, std::string_view>;

constexpr std::string_view breaks_off = "the answer breaks off";

bool is_same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t";
  const size_t first = text.find_first_not_of(space);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::optional<uint64_t> number_of(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// What a head says of the body behind it.
struct Head {
  Reply reply;
  std::optional<uint64_t> length;
  bool is_chunked = false;
};

/// "HTTP/1.1 200 OK".
std::optional<unsigned> status_of(std::string_view line) {
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || line[8] != ' ') return std::nullopt;
  if (line.size() > 12 && line[12] != ' ') return std::nullopt;
  const auto status = number_of(line.substr(9, 3), 10);
  if (!status || *status < 100) return std::nullopt;
  return static_cast<unsigned>(*status);
}

/// `text`: lines that end with CR LF.
std::optional<Head> head_of(std::string_view text) {
  Head head;
  for (bool is_first = true; !text.empty(); is_first = false) {
    const std::string_view line = text.substr(0, text.find("\r\n"));
    text.remove_prefix(line.size() + 2);
    if (is_first) {
      const auto status = status_of(line);
      if (!status) return std::nullopt;
      head.reply.status = *status;
      continue;
    }
    const size_t colon = line.find(':');
    if (colon == line.npos || colon == 0) return std::nullopt;
    const std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (is_same(name, "content-type")) head.reply.type = value;
    if (is_same(name, "content-length")) {
      const auto length = number_of(value, 10);
      if (!length || (head.length && head.length != length)) return std::nullopt;
      head.length = length;
    }
    if (is_same(name, "transfer-encoding")) {
      if (head.is_chunked || !is_same(value, "chunked")) return std::nullopt;
      head.is_chunked = true;
    }
  }
  return head;
}

/// RFC 9112 section 7.1; what follows the last chunk is of no interest.
Read read_chunks(Reply&& reply, std::string_view octets) {
  for (;;) {
    const size_t end = octets.find("\r\n");
    if (end == octets.npos) return std::nullopt;
    const std::string_view line = octets.substr(0, end);
    const auto size = number_of(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size) return std::unexpected("the answer has a chunk without a size");
    octets.remove_prefix(end + 2);
    if (*size == 0) return std::move(reply);
    if (octets.size() < 2 || *size > octets.size() - 2) return std::nullopt;
    reply.body.append(octets.substr(0, *size));
    octets.remove_prefix(*size);
    if (!octets.starts_with("\r\n"))
      return std::unexpected("the answer has a chunk without an end");
    octets.remove_prefix(2);
  }
}

Read read_body(Head&& head, std::string_view octets, bool is_over) {
  if (head.is_chunked) return read_chunks(std::move(head.reply), octets);
  if (!head.length && !is_over) return std::nullopt;
  if (head.length && *head.length > octets.size()) return std::nullopt;
  head.reply.body = octets.substr(0, head.length.value_or(octets.size()));
  return std::move(head.reply);
}

}  // namespace

Read read_reply(std::string_view octets, bool is_over) {
  for (;;) {
    const size_t end = octets.find("\r\n\r\n");
    if (end == octets.npos) break;
    auto head = head_of(octets.substr(0, end + 2));
    if (!head) return std::unexpected("it does not answer in HTTP/1.1");
    octets.remove_prefix(end + 4);
    constexpr unsigned informational_last = 199;
    if (head->reply.status <= informational_last) continue;
    auto read = read_body(*std::move(head), octets, is_over);
    if (!read || *read) return read;
    break;
  }
  if (is_over) return std::unexpected(breaks_off);
  if (octets.size() > Reply::octets_max) return std::unexpected("the answer is too long");
  return std::nullopt;
}

}  // namespace sluice::engine::https
