#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/stage.h"
#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine {

enum class HoldPolicy : uint8_t { no, manual, etrn };
enum class TlsPolicy : uint8_t { none, opportunistic, required, verified };
enum class InDoubtPolicy : uint8_t { resend, hold, never };

/// Everything that a [destination] pattern decides, resolved for one name: the longest match wins, key by key.
struct DestinationPolicy {
  std::vector<std::string> next_hops;  // empty: "mx"; else "host:port" as written
  uint16_t port = 25;
  uint32_t sessions_max = 20;
  uint32_t messages_per_session_max = 1000;
  uint32_t recipients_per_transaction_max = 100;
  double rate_per_s = 0;  // 0: unlimited
  HoldPolicy hold = HoldPolicy::no;
  TlsPolicy tls = TlsPolicy::opportunistic;
  std::array<io::Duration, smtp::stage_count> timeout{};  // by Stage; dns and auth have fixed ones

  struct Retry {
    io::Duration first, ceiling, connect_interval{}, transfer_interval{};  // 0: not set
    double factor, jitter;
    std::vector<io::Duration> schedule;
    uint32_t connect_attempts_max = 0, transfer_attempts_max = 0;
  } retry;
  struct Expire {
    io::Duration urgent, normal, non_urgent, warn;  // warn 0: no delay notice
  } expire;

  friend bool operator==(const DestinationPolicy&, const DestinationPolicy&) = default;
};

struct ListenPolicy {
  std::string address;
  std::vector<std::string> allow;
  uint64_t message_bytes_max = 52428800;
  std::string tls_certificate, tls_key, users;
  bool etrn = true;
};

struct DkimPolicy {
  std::string domain, selector, key;
};

/// Where a value was set, for errors and `explain`: file:line, or "built-in".
struct ConfigPlace {
  std::string file;
  unsigned line = 0;
};

struct ConfigError {
  std::string text;  // `sluice.toml:14: destination."*".timeout.connect: "30x" is not a duration; write 30s, 5m, 2h or 1d`
};

/// A configuration, checked as a whole. Keys, defaults and meaning: contract and docs/configuration.md, which is generated from the table in config.cc.
struct Config {
  std::string hostname;  // default: the system's
  std::string spool = "/var/spool/sluice", log = "/var/log/sluice";
  unsigned shards = 0;  // 0: one a core
  std::vector<io::SocketAddress> dns_servers;
  InDoubtPolicy in_doubt = InDoubtPolicy::resend;
  std::string notices = "sender", postmaster;
  std::vector<ListenPolicy> listen;
  std::string admin_address, admin_token_file;
  std::vector<DkimPolicy> dkim;

  /// Policy for mail to `domain`. O(patterns); callers keep the result.
  DestinationPolicy destination(std::string_view domain) const;
  /// The place that decided `key` (e.g. "retry.first") for `domain`.
  ConfigPlace place(std::string_view domain, std::string_view key) const;

  /// Built-in defaults only.
  static Config defaults();
  /// Reads and checks a file; all mistakes at once.
  static std::expected<Config, std::vector<ConfigError>> load(const std::string& path);
  /// Command line over file: one next hop for every destination, as `--next-hop` says. Error text when it is not HOST:PORT.
  std::optional<std::string> override_next_hop(std::string_view text);

  struct Section;  // one [destination."pattern"] as written
  std::vector<std::shared_ptr<const Section>> sections;
};

/// Parses `250ms`, `30s`, `5m`, `4h`, `1d`.
std::optional<io::Duration> parse_duration(std::string_view text);

}  // namespace sluice::engine
