#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/dns/dnssec_trust.h"
#include "engine/smtp/stage.h"
#include "io/clock.h"
#include "io/socket_address.h"

namespace sluice::engine {

enum class HoldPolicy : uint8_t { no, manual, etrn };
enum class TlsPolicy : uint8_t { none, opportunistic, required, verified };
enum class TlsVersion : uint8_t { v1_2, v1_3 };
enum class InDoubtPolicy : uint8_t { resend, hold, never };

/// How sessions with a destination are protected.
struct SecurityPolicy {
  TlsPolicy tls = TlsPolicy::opportunistic;
  TlsVersion tls_min = TlsVersion::v1_2;
  bool dane = true;         // TLSA records count
  std::string tls_ca_file;  // "": the system's
  std::string tls_client_certificate, tls_client_key;
  std::string auth_user;  // "": no login
  std::string auth_password_file;
  bool mta_sts = true;
  /// A PEM file: who vouches for web servers that stand for the destination.
  std::string authorities() const;
  friend bool operator==(const SecurityPolicy&, const SecurityPolicy&) = default;
};
struct Protection;
using ProtectionPtr = std::shared_ptr<const Protection>;

/// An address of this machine that mail is sent from, and the name that goes with it. Those of one
/// source are a pool: sessions are bound to them in the share of their weights.
struct SourceAddress {
  std::string source;       // the pool's name
  io::SocketAddress local;  // port 0
  std::string hostname;     // for EHLO; "": the engine's
  uint32_t weight = 1;
  /// `192.0.2.7` or `2001:db8::7`.
  std::string text() const;
  friend bool operator==(const SourceAddress&, const SourceAddress&) = default;
};

/// Everything that a [destination] pattern decides, resolved for one name: the longest match wins,
/// key by key.
struct DestinationPolicy {
  std::vector<std::string> next_hops;  // empty: "mx"; else "host:port" as written
  uint16_t port = 25;
  std::string source;                           // a pool's name; "": the system chooses
  std::vector<SourceAddress> source_addresses;  // of it
  uint32_t sessions_max = 20;
  uint32_t messages_per_session_max = 1000;
  uint32_t recipients_per_transaction_max = 100;
  double rate_per_s = 0;  // 0: unlimited
  HoldPolicy hold = HoldPolicy::no;
  SecurityPolicy security;
  bool is_tls_optional = false;  // for the sake of the message: CampaignMessage has it
  /// What the files of `security` hold, where an engine goes by it; else null.
  ProtectionPtr protection;
  std::array<io::Duration, smtp::stage_count> timeout{};  // by Stage; dns and auth have fixed ones

  struct Retry {
    io::Duration first{}, ceiling{}, connect_interval{}, transfer_interval{};  // 0: not set
    double factor = 2, jitter = 0.2;
    std::vector<io::Duration> schedule;
    uint32_t connect_attempts_max = 0, transfer_attempts_max = 0;
    friend bool operator==(const Retry&, const Retry&) = default;
  } retry;
  struct Expire {
    io::Duration urgent{}, normal{}, non_urgent{}, warn{};  // warn 0: no delay notice
    friend bool operator==(const Expire&, const Expire&) = default;
  } expire;

  /// TLSA records and MTA-STS policies count.
  bool has_dane() const {
    return security.dane && security.tls != TlsPolicy::none && !is_tls_optional;
  }
  bool has_mta_sts() const {
    return security.mta_sts && security.tls != TlsPolicy::none && !is_tls_optional;
  }
  friend bool operator==(const DestinationPolicy&, const DestinationPolicy&) = default;
};

/// How a listener's sessions get under TLS, where it has a certificate.
enum class ListenTls : uint8_t { starttls, implicit };
/// Which messages are completed (Date, Message-ID) and stripped (Bcc) as their author's agent's.
/// `automatic`: those of authenticated users, and those without a Received field.
enum class SubmissionPolicy : uint8_t { automatic, always, never };

struct ListenPolicy {
  std::string address;
  std::vector<std::string> allow;
  uint64_t message_bytes_max = 52428800;
  uint32_t recipients_max = 1000, messages_per_session_max = 10000;
  uint32_t sessions_max = 10000, sessions_per_client_max = 1000;
  double messages_per_client_rate = 0;  // a second; 0: unlimited
  io::Duration command_timeout{}, content_timeout{};
  SubmissionPolicy submission = SubmissionPolicy::automatic;
  ListenTls tls = ListenTls::starttls;
  std::string tls_certificate, tls_key, tls_client_ca_file, users;
  std::vector<std::string> allow_certificates;  // names of hosts; "*": any
  bool etrn = true;
};

/// Where a value was set, for errors and `explain`: file:line, "command line" or "built-in".
struct ConfigPlace {
  std::string file;
  unsigned line = 0;
};

/// Mail from envelope senders that match.
struct SenderPolicy {
  std::string pattern;  // "*" or "*@news.example", lower case, A-labels
  uint32_t weight = 1;
  std::string source;        // "": the destination's
  ConfigPlace source_place;  // when it is not ""
};

struct DkimPolicy {
  std::string domain, selector, key;
  io::WallTime start{}, end = io::WallTime::max();  // when it signs
  io::Duration expire{};                            // of a signature; 0: never
};

struct ConfigError {
  std::string text;  // `sluice.toml:14: destination."*".timeout.connect: "30x" is not a duration;
                     // write 30s, 5m, 2h or 1d`
  std::string file;
  unsigned line = 0;    // 0: of the file as a whole
  std::string field;    // destination."*".timeout.connect; "" when it is of no field
  std::string message;  // the rest
};

/// A configuration, checked as a whole. Keys, defaults and meaning: contract and
/// docs/configuration.md, which is generated from the table in config_keys.cc.
struct Config {
  std::string source;    // the file it was read from; "" for built-in defaults
  std::string hostname;  // default: the system's
  std::string spool = "/var/spool/sluice", log = "/var/log/sluice";
  std::string user;     // root becomes this one; "" to stay
  unsigned shards = 0;  // 0: one a core
  std::vector<io::SocketAddress> dns_servers;
  dns::DnssecTrust dnssec = dns::DnssecTrust::loopback;
  InDoubtPolicy in_doubt = InDoubtPolicy::resend;
  Notices notices = Notices::sender;
  std::string postmaster;
  std::vector<ListenPolicy> listen;
  std::string admin_address, admin_token_file;
  struct TlsReport {
    std::string from;                   // "": none are made
    std::string organization, contact;  // "": as of `from`
    friend bool operator==(const TlsReport&, const TlsReport&) = default;
  } tls_report;
  std::vector<DkimPolicy> dkim;
  std::vector<SenderPolicy> senders;
  std::vector<SourceAddress> sources;
  std::vector<ConfigError> warnings;  // what it asks for and this machine has not, as load() saw it

  /// Read by the commands when it exists and `--config` names no other.
  static constexpr const char* system_path = "/etc/sluice/sluice.toml";

  /// Policy for mail to `domain` (A-labels). O(patterns); callers keep the result.
  DestinationPolicy destination(std::string_view domain) const;
  /// The same for mail whose next hop or sender's source go before the destination's, where they
  /// are not "".
  DestinationPolicy destination(std::string_view domain, std::string_view next_hop,
                                std::string_view source_name) const;
  /// Is one of that name configured?
  bool has_source(std::string_view name) const;
  /// Of a source. None: it is "", or not configured.
  std::vector<SourceAddress> addresses_of(std::string_view name) const;
  /// Policy for mail from `sender`, an address, which may have tags, or its domain. O(patterns).
  SenderPolicy sender(std::string_view sender) const;
  /// Those of its [destination] sections.
  std::vector<std::string> patterns() const;
  /// The place that decided `key` (e.g. "retry.first") for `domain`.
  ConfigPlace place(std::string_view domain, std::string_view key) const;

  /// Built-in defaults only, and the system's name as `hostname`.
  static Config defaults();
  /// Reads and checks a file, and that the files it names can be read; all mistakes at once.
  /// Blocking.
  static std::expected<Config, std::vector<ConfigError>> load(const std::string& path);
  /// What a command goes by: `path` when given, else system_path when it exists, else the built-in
  /// defaults.
  static std::expected<Config, std::vector<ConfigError>> find(const std::string& path);
  /// Checks `toml` as the content of a file `path`, without a look at the machine; `hostname` stays
  /// "" when it is not set.
  static std::expected<Config, std::vector<ConfigError>> parse(std::string_view toml,
                                                               const std::string& path);
  /// Command line over file: one next hop for every destination, as `--next-hop` says. Error text
  /// when it is not HOST:PORT.
  std::optional<std::string> override_next_hop(std::string_view text);

  struct Section;  // one [destination."pattern"] as written: config_section.h
  std::vector<std::shared_ptr<const Section>> sections;
};

/// Parses `250ms`, `30s`, `5m`, `4h`, `1d`.
std::optional<io::Duration> parse_duration(std::string_view text);

}  // namespace sluice::engine
