#include "engine/dkim/message_hash.h"

#include <algorithm>

namespace sluice::engine::dkim {

std::string_view Unstuffing::next(std::string_view& wire, std::string_view end) {
  if (wire.empty()) return {};
  if (is_at_line_start_ && wire.front() == '.') {
    wire.remove_prefix(1);
    is_at_line_start_ = false;
    if (wire.empty()) return {};
  }
  const size_t found = wire.find(end);
  const std::string_view octets = wire.substr(0, found == wire.npos ? wire.size() : found + 1);
  wire.remove_prefix(octets.size());
  is_at_line_start_ = octets.back() == '\n';
  return octets;
}

void MessageHash::clear() {
  header_.clear();
  body_ = {};
  is_in_body_ = false;
  is_empty_line_ = true;
}

std::string_view MessageHash::update_header(std::string_view wire) {
  while (!is_in_body_) {
    const std::string_view octets = body_.unstuffing.next_line(wire);
    if (octets.empty()) break;
    take_header(octets);
  }
  return wire;
}

void MessageHash::update_body(std::string_view wire) {
  for (std::string_view octets; !(octets = body_.unstuffing.next_lines(wire)).empty();)
    body_.hash.update(octets);
}

void MessageHash::take_header(std::string_view octets) {
  is_empty_line_ &= octets.find_first_not_of("\r\n") == octets.npos;
  header_.update(octets);
  if (octets.back() != '\n') return;
  is_in_body_ = is_empty_line_;
  is_empty_line_ = true;
  if (is_in_body_) header_.finish();
}

Digest MessageHash::finish() {
  header_.finish();
  return body_.hash.finish();
}

}  // namespace sluice::engine::dkim
