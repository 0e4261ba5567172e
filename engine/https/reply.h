#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::engine::https {

/// A server's answer to one request over HTTP/1.1 (RFC 9112).
struct Reply {
  static constexpr size_t octets_max = 128 * 1024;  // of all that is read, head and chunks included

  unsigned status = 0;
  std::string type;  // Content-Type, as it came
  std::string body;
};

/// Reads what has come. Null: more has to come. `is_over`: nothing more will, and the server said
/// so. The error says in what way it is no answer. Pure; O(octets).
std::expected<std::optional<Reply>, std::string_view> read_reply(std::string_view octets,
                                                                 bool is_over);

}  // namespace sluice::engine::https
