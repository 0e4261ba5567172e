#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::engine::smtp {

/// The phases of an attempt, in order; each has its deadline (RFC 5321 section 4.5.3.2) and its
/// name in the transaction log.
enum class Stage : uint8_t {
  dns,
  connect,
  greeting,
  ehlo,
  starttls,
  auth,
  mail,
  rcpt,
  data,
  block,
  final_dot,
  rset,
  quit,
  idle
};
inline constexpr unsigned stage_count = 14;

constexpr std::string_view name(Stage stage) {
  constexpr std::string_view names[stage_count] = {
      "dns",  "connect", "greeting", "ehlo",      "starttls", "auth", "mail",
      "rcpt", "data",    "block",    "final_dot", "rset",     "quit", "idle"};
  return names[static_cast<unsigned>(stage)];
}

}  // namespace sluice::engine::smtp
