#include "engine/config_keys.h"

#include <algorithm>
#include <type_traits>

#include "engine/config.h"
#include "engine/config_value.h"
#include "io/check.h"

namespace sluice::engine {

namespace {

template <class Member>
void assign(Member& member, const ConfigValue& value) {
  if constexpr (std::is_enum_v<Member>) {
    member = static_cast<Member>(std::get<ConfigChoice>(value).index);
  } else if constexpr (std::is_same_v<Member, bool>) {
    member = std::get<bool>(value);
  } else if constexpr (std::is_integral_v<Member>) {
    member = static_cast<Member>(std::get<int64_t>(value));  // the range of the key fits
  } else if constexpr (std::is_same_v<Member, std::string>) {
    const auto* choice = std::get_if<ConfigChoice>(&value);
    member = choice ? std::string(choice->name) : std::get<std::string>(value);
  } else if constexpr (std::is_same_v<Member, std::vector<io::SocketAddress>>) {
    member.clear();
    for (const std::string& text : std::get<std::vector<std::string>>(value)) {
      const auto address = io::SocketAddress::parse(text, 53);
      CHECK(address.has_value());  // checked where it was read
      member.push_back(*address);
    }
  } else if constexpr (std::is_same_v<Member, io::SocketAddress>) {
    member = *parse_address(std::get<std::string>(value));
  } else if constexpr (std::is_same_v<Member, io::WallTime>) {
    // "" leaves what stands for no limit.
    if (const auto* time = std::get_if<io::WallTime>(&value)) member = *time;
  } else {
    member = std::get<Member>(value);
  }
}

/// Stores into the member that the pointers to members lead to, one from the other.
template <class Target, auto... Members>
void into(void* target, const ConfigValue& value) {
  assign((*static_cast<Target*>(target).*....*Members), value);
}

template <smtp::Stage stage>
void into_timeout(void* target, const ConfigValue& value) {
  static_cast<DestinationPolicy*>(target)->timeout[static_cast<size_t>(stage)] =
      std::get<io::Duration>(value);
}

using Policy = DestinationPolicy;
using Security = SecurityPolicy;
using Retry = DestinationPolicy::Retry;
using Expire = DestinationPolicy::Expire;
using enum ConfigType;
using smtp::Stage;

constexpr ConfigSection sections[] = {
    {"engine", "[engine]", "The process: its name to the world and where it keeps its things."},
    {"dns", "[dns]", "Where names are looked up."},
    {"destination", "[destination.\"PATTERN\"]",
     "How mail to a destination is sent. `PATTERN` is `*`, `*.example.net` (every name below it) "
     "or `example.net` (that name alone). For each key by itself the longest pattern that matches "
     "and sets it wins."},
    {"destination.timeout", "[destination.\"PATTERN\".timeout]",
     "How long each phase of an attempt may take. The defaults are those of RFC 5321 section "
     "4.5.3.2 where it speaks."},
    {"destination.retry", "[destination.\"PATTERN\".retry]",
     "When a deferred recipient is tried again: `first`, then times `factor` up to `ceiling`, each "
     "delay spread by `jitter`."},
    {"destination.expire", "[destination.\"PATTERN\".expire]",
     "How long mail may wait, counted from its acceptance, whatever it waits for."},
    {"source", "[[source.\"NAME\"]]",
     "An address of this machine that mail is sent from. Sections of one name are a pool: each "
     "session is bound to an address of the family of the host it connects to, in the share of "
     "their weights. Hosts of a family of which the pool has none are not used."},
    {"sender", "[sender.\"PATTERN\"]",
     "How mail of an envelope sender is sent. `PATTERN` is `*@news.example` (every sender of that "
     "domain) or `*` (all others)."},
    {"report", "[report]", "Who is told what became of a message."},
    {"listen", "[[listen]]",
     "An SMTP server for mail to relay; one section for each address. None: no server."},
    {"admin", "[admin]", "The HTTP interface for metrics and control."},
    {"tls_report", "[tls_report]",
     "Reports of what TLS came to, by day, to domains that ask for them (RFC 8460). None are made "
     "unless `from` is set; changes need a restart."},
    {"dkim", "[[dkim.\"DOMAIN\"]]",
     "A DKIM signature (docs/dkim.md) for messages whose From is of `DOMAIN`, or of one below it "
     "that "
     "has no section of its own. TOML allows `[dkim.\"DOMAIN\"]` once a domain; for several "
     "signatures write `[[dkim.\"DOMAIN\"]]` for each."},
};

constexpr ConfigKey keys[] = {
    {"engine", "hostname", hostname, "\"\"", "", "", "", true,
     "Name of this host: EHLO, Received, Message-ID. Empty: the system's.",
     into<Config, &Config::hostname>},
    {"engine", "spool", path, "\"/var/spool/sluice\"", "", "", "", false,
     "Folder of the spool; one running engine owns it.", into<Config, &Config::spool>},
    {"engine", "log", path, "\"/var/log/sluice\"", "", "", "", false,
     "Folder of the transaction log, `transactions.jsonl`.", into<Config, &Config::log>},
    {"engine", "user", text, "\"\"", "", "", "", true,
     "Whom `sluice serve` becomes when root starts it, before it opens the spool; of root's rights "
     "it keeps the one to bind ports below 1024. Empty: nobody.",
     into<Config, &Config::user>},
    {"engine", "shards", count, "0", "0", "256", "", false,
     "Threads that deliver, each with its own ring. 0: one a core.", into<Config, &Config::shards>},

    {"dns", "servers", servers, "[]", "", "", "", false,
     "Resolvers, `ADDRESS` or `ADDRESS:PORT` (53). Empty: those of resolv.conf.",
     into<Config, &Config::dns_servers>},
    {"dns", "dnssec", choice, "\"loopback\"", "", "", "loopback|yes|no", false,
     "Which resolvers are believed when they say that DNSSEC vouches for an answer (AD), which "
     "DANE "
     "needs: those on this machine, all, or none. `yes` where nobody can be on the way to them.",
     into<Config, &Config::dnssec>},

    {"destination", "next_hop", next_hops, "\"mx\"", "", "", "", false,
     "`\"mx\"`: the hosts that DNS names. Or a list of hosts, tried in this order: "
     "`[\"relay.example.net:25\", \"[192.0.2.7]:2525\"]`.",
     into<Policy, &Policy::next_hops>},
    {"destination", "port", count, "25", "1", "65535", "", false,
     "TCP port of hosts written without one.", into<Policy, &Policy::port>},
    {"destination", "source", source, "\"\"", "", "", "", true,
     "What it is sent from: a `[[source.\"NAME\"]]`. Each source has queues, limits and sessions "
     "of its own. Empty: the system chooses the address.",
     into<Policy, &Policy::source>},
    {"destination", "sessions_max", count, "20", "1", "65536", "", false,
     "Sessions open at the same time.", into<Policy, &Policy::sessions_max>},
    {"destination", "messages_per_session_max", count, "1000", "1", "1000000000", "", false,
     "Messages sent over one session before it is closed.",
     into<Policy, &Policy::messages_per_session_max>},
    {"destination", "recipients_per_transaction_max", count, "100", "1", "1000", "", false,
     "Recipients that share one copy of a message (those with the same content).",
     into<Policy, &Policy::recipients_per_transaction_max>},
    {"destination", "rate", rate, "\"\"", "", "", "", true,
     "Messages at most: `\"100/s\"`, `\"3000/m\"`, `\"5000/h\"`, `\"100000/d\"`. Empty: no limit.",
     into<Policy, &Policy::rate_per_s>},
    {"destination", "hold", choice, "\"no\"", "", "", "no|manual|etrn", false,
     "Mail waits until it is released: by hand, or when the destination asks with ETRN (RFC 1985).",
     into<Policy, &Policy::hold>},
    {"destination", "tls", choice, "\"opportunistic\"", "", "",
     "none|opportunistic|required|verified", false,
     "`opportunistic`: when offered, whatever the certificate; `required`: under TLS or not at "
     "all; "
     "`verified`: only to a host whose certificate is good.",
     into<Policy, &Policy::security, &Security::tls>},
    {"destination", "tls_min", choice, "\"1.2\"", "", "", "1.2|1.3", false,
     "Oldest version of TLS that is spoken.", into<Policy, &Policy::security, &Security::tls_min>},
    {"destination", "dane", flag, "true", "", "", "", false,
     "Where DNS is secure, a host's TLSA records (DANE, RFC 7672) demand TLS and say which "
     "certificate is good. Not with `tls = \"none\"`.",
     into<Policy, &Policy::security, &Security::dane>},
    {"destination", "mta_sts", flag, "true", "", "", "", false,
     "The domain's MTA-STS policy (RFC 8461) demands TLS and good certificates of the MX hosts "
     "that it "
     "names. Not with `tls = \"none\"`, nor with a `next_hop`.",
     into<Policy, &Policy::security, &Security::mta_sts>},
    {"destination", "tls_ca_file", file, "\"\"", "", "", "", true,
     "PEM file of those whose word on a certificate counts. Empty: "
     "`/etc/ssl/certs/ca-certificates.crt`.",
     into<Policy, &Policy::security, &Security::tls_ca_file>},
    {"destination", "tls_client_certificate", file, "\"\"", "", "", "", true,
     "PEM file with a certificate and its chain, for servers that ask for one. Empty: none.",
     into<Policy, &Policy::security, &Security::tls_client_certificate>},
    {"destination", "tls_client_key", file, "\"\"", "", "", "", true, "PEM file with its key.",
     into<Policy, &Policy::security, &Security::tls_client_key>},
    {"destination", "auth_user", text, "\"\"", "", "", "", true,
     "Whom to log in as (AUTH), with `tls` = `required` or `verified`. Empty: nobody.",
     into<Policy, &Policy::security, &Security::auth_user>},
    {"destination", "auth_password_file", secret, "\"\"", "", "", "", true,
     "File whose first line is the password; for its owner alone (`chmod 600`).",
     into<Policy, &Policy::security, &Security::auth_password_file>},

    {"destination.timeout", "connect", duration, "\"30s\"", "1ms", "1d", "", false,
     "Until the TCP connection is open.", into_timeout<Stage::connect>},
    {"destination.timeout", "greeting", duration, "\"5m\"", "1ms", "1d", "", false,
     "Until the 220 greeting.", into_timeout<Stage::greeting>},
    {"destination.timeout", "ehlo", duration, "\"5m\"", "1ms", "1d", "", false,
     "Until the reply to EHLO or HELO.", into_timeout<Stage::ehlo>},
    {"destination.timeout", "starttls", duration, "\"2m\"", "1ms", "1d", "", false,
     "Until the TLS handshake is done.", into_timeout<Stage::starttls>},
    {"destination.timeout", "mail", duration, "\"5m\"", "1ms", "1d", "", false,
     "Until the reply to MAIL.", into_timeout<Stage::mail>},
    {"destination.timeout", "rcpt", duration, "\"5m\"", "1ms", "1d", "", false,
     "Until the reply to each RCPT.", into_timeout<Stage::rcpt>},
    {"destination.timeout", "data", duration, "\"2m\"", "1ms", "1d", "", false,
     "Until the reply to DATA.", into_timeout<Stage::data>},
    {"destination.timeout", "block", duration, "\"3m\"", "1ms", "1d", "", false,
     "Until a block of the content was taken by the network.", into_timeout<Stage::block>},
    {"destination.timeout", "final_dot", duration, "\"10m\"", "1ms", "1d", "", false,
     "Until the reply to the end of the content. Shorter than the peer needs means duplicates (RFC "
     "5321 section 4.5.3.2.6).",
     into_timeout<Stage::final_dot>},
    {"destination.timeout", "rset", duration, "\"20s\"", "1ms", "1d", "", false,
     "Until the reply to RSET.", into_timeout<Stage::rset>},
    {"destination.timeout", "quit", duration, "\"5s\"", "1ms", "1d", "", false,
     "Until the reply to QUIT.", into_timeout<Stage::quit>},
    {"destination.timeout", "idle", duration, "\"5s\"", "1ms", "1d", "", false,
     "An open session without a message is closed after this, or before when others need its "
     "place.",
     into_timeout<Stage::idle>},

    {"destination.retry", "first", duration, "\"5m\"", "1ms", "30d", "", false,
     "Delay after the first failed attempt.", into<Policy, &Policy::retry, &Retry::first>},
    {"destination.retry", "factor", number, "2.0", "1", "100", "", false,
     "Each further delay is this many times the one before.",
     into<Policy, &Policy::retry, &Retry::factor>},
    {"destination.retry", "ceiling", duration, "\"4h\"", "1ms", "30d", "", false,
     "No delay is longer.", into<Policy, &Policy::retry, &Retry::ceiling>},
    {"destination.retry", "jitter", number, "0.2", "0", "1", "", false,
     "A share of the delay, added or taken away at random, so that what failed together does not "
     "come back together.",
     into<Policy, &Policy::retry, &Retry::jitter>},
    {"destination.retry", "schedule", durations, "[]", "1ms", "30d", "", false,
     "Delays instead of the curve, `[\"1m\", \"5m\", \"1h\"]`; the last one repeats.",
     into<Policy, &Policy::retry, &Retry::schedule>},
    {"destination.retry", "connect_interval", duration, "\"\"", "1ms", "30d", "", true,
     "When set: after a failed connection, this fixed delay instead.",
     into<Policy, &Policy::retry, &Retry::connect_interval>},
    {"destination.retry", "connect_attempts_max", count, "0", "0", "1000000", "", false,
     "Failed connections before a recipient is given up. 0: only expiry ends it.",
     into<Policy, &Policy::retry, &Retry::connect_attempts_max>},
    {"destination.retry", "transfer_interval", duration, "\"\"", "1ms", "30d", "", true,
     "When set: after a failure on an open session, this fixed delay instead.",
     into<Policy, &Policy::retry, &Retry::transfer_interval>},
    {"destination.retry", "transfer_attempts_max", count, "0", "0", "1000000", "", false,
     "Failures on open sessions before a recipient is given up. 0: only expiry ends it.",
     into<Policy, &Policy::retry, &Retry::transfer_attempts_max>},

    {"destination.expire", "urgent", duration, "\"1d\"", "1s", "365d", "", false,
     "Mail of priority urgent.", into<Policy, &Policy::expire, &Expire::urgent>},
    {"destination.expire", "normal", duration, "\"5d\"", "1s", "365d", "", false,
     "Mail of normal priority.", into<Policy, &Policy::expire, &Expire::normal>},
    {"destination.expire", "non_urgent", duration, "\"7d\"", "1s", "365d", "", false,
     "Mail of priority non-urgent.", into<Policy, &Policy::expire, &Expire::non_urgent>},
    {"destination.expire", "warn", duration, "\"4h\"", "1s", "365d", "", true,
     "The sender gets a notice of delay after this. Empty: none.",
     into<Policy, &Policy::expire, &Expire::warn>},

    {"source", "address", address, "", "", "", "", false,
     "An IPv4 or IPv6 address of this machine.", into<SourceAddress, &SourceAddress::local>},
    {"source", "hostname", hostname, "\"\"", "", "", "", true,
     "Its name, for EHLO: receivers look whether it leads to the address, and back. Empty: "
     "`engine.hostname`.",
     into<SourceAddress, &SourceAddress::hostname>},
    {"source", "weight", count, "1", "1", "1000", "", false,
     "Share of the sessions among the addresses of the pool.",
     into<SourceAddress, &SourceAddress::weight>},

    {"sender", "weight", count, "1", "1", "1000", "", false,
     "Share of a destination among those of one priority that wait for it, which are campaigns and "
     "the senders of relayed mail: one of weight 3 gets three recipients for each one of weight 1.",
     into<SenderPolicy, &SenderPolicy::weight>},

    {"sender", "source", source, "\"\"", "", "", "", true,
     "What their mail is sent from, wherever it goes: a `[[source.\"NAME\"]]`. Empty: the "
     "destination's.",
     into<SenderPolicy, &SenderPolicy::source>},

    {"report", "notices", choice, "\"sender\"", "", "", "log|sender", false,
     "`sender`: delivery status notifications (RFC 3464) to the envelope sender. `log`: the log "
     "only.",
     into<Config, &Config::notices>},
    {"report", "postmaster", mailbox, "\"\"", "", "", "", true,
     "Who stands in the From of notices. Empty: `postmaster@` and the hostname.",
     into<Config, &Config::postmaster>},
    {"report", "in_doubt", choice, "\"resend\"", "", "", "resend|hold|never", false,
     "When the outcome after the final dot is unknown: try again (may duplicate), hold for a "
     "person, or never again (may lose).",
     into<Config, &Config::in_doubt>},

    {"listen", "address", listener, "\"127.0.0.1:2525\"", "", "", "", false,
     "`ADDRESS:PORT` to listen on.", into<ListenPolicy, &ListenPolicy::address>},
    {"listen", "allow", networks, "[\"127.0.0.0/8\", \"::1/128\"]", "", "", "", false,
     "Networks that may relay without authentication.", into<ListenPolicy, &ListenPolicy::allow>},
    {"listen", "message_bytes_max", count, "52428800", "1024", "2147483648", "", false,
     "Largest message taken; told in SIZE (RFC 1870).",
     into<ListenPolicy, &ListenPolicy::message_bytes_max>},
    {"listen", "recipients_max", count, "1000", "100", "10000", "", false,
     "Recipients of a message; the client sends it again for those beyond (452). RFC 5321 section "
     "4.5.3.1.8 asks for 100.",
     into<ListenPolicy, &ListenPolicy::recipients_max>},
    {"listen", "messages_per_session_max", count, "10000", "1", "1000000000", "", false,
     "Messages taken over one session; then the client has to open another, which may land on an "
     "idler shard.",
     into<ListenPolicy, &ListenPolicy::messages_per_session_max>},
    {"listen", "sessions_max", count, "10000", "1", "1000000", "", false,
     "Sessions open at the same time; more are told to come again (421), so that deliveries keep "
     "their sockets.",
     into<ListenPolicy, &ListenPolicy::sessions_max>},
    {"listen", "sessions_per_client_max", count, "1000", "1", "1000000", "", false,
     "Of these from one address, so that one client cannot shut out the others.",
     into<ListenPolicy, &ListenPolicy::sessions_per_client_max>},
    {"listen", "messages_per_client_rate", rate, "\"\"", "", "", "", true,
     "How fast a client (a user who authenticated, else an address) may hand messages over, such "
     "as "
     "`\"1000/h\"`; those of one minute, at least 10, at once. More are put off (450). Empty: no "
     "limit.",
     into<ListenPolicy, &ListenPolicy::messages_per_client_rate>},
    {"listen", "command_timeout", duration, "\"5m\"", "1s", "1d", "", false,
     "Until the client's next command is whole, a TLS handshake included (RFC 5321 section "
     "4.5.3.2.7).",
     into<ListenPolicy, &ListenPolicy::command_timeout>},
    {"listen", "content_timeout", duration, "\"10m\"", "1s", "1d", "", false,
     "Until a message's content is whole: an octet now and then does not hold a session for ever.",
     into<ListenPolicy, &ListenPolicy::content_timeout>},
    {"listen", "submission", choice, "\"auto\"", "", "", "auto|always|never", false,
     "Which messages get a missing Date and Message-ID, and lose Bcc. `auto`: those of "
     "authenticated users, and those that no server has handled yet (without a Received field).",
     into<ListenPolicy, &ListenPolicy::submission>},
    {"listen", "tls", choice, "\"starttls\"", "", "", "starttls|implicit", false,
     "With a certificate: offer STARTTLS (ports 25 and 587), or speak TLS from the first octet "
     "(port 465, RFC 8314).",
     into<ListenPolicy, &ListenPolicy::tls>},
    {"listen", "tls_certificate", file, "\"\"", "", "", "", true,
     "PEM file with the certificate and its chain. Empty: no TLS.",
     into<ListenPolicy, &ListenPolicy::tls_certificate>},
    {"listen", "tls_key", file, "\"\"", "", "", "", true, "PEM file with the certificate's key.",
     into<ListenPolicy, &ListenPolicy::tls_key>},
    {"listen", "tls_client_ca_file", file, "\"\"", "", "", "", true,
     "PEM file of those who sign clients' certificates. Clients are asked for one; who has none, "
     "or "
     "another's, is served all the same. Empty: none is asked for.",
     into<ListenPolicy, &ListenPolicy::tls_client_ca_file>},
    {"listen", "allow_certificates", names, "[]", "", "", "", false,
     "Who may relay beside `allow`: clients with a good certificate for one of these names, or "
     "`\"*\"` for any name.",
     into<ListenPolicy, &ListenPolicy::allow_certificates>},
    {"listen", "users", users, "\"\"", "", "", "", true,
     "File of `user:crypt(3) hash` lines, closed to others. AUTH is offered only under TLS.",
     into<ListenPolicy, &ListenPolicy::users>},
    {"listen", "etrn", flag, "true", "", "", "", false, "Offer ETRN (RFC 1985).",
     into<ListenPolicy, &ListenPolicy::etrn>},

    {"admin", "address", listener, "\"\"", "", "", "", true,
     "`ADDRESS:PORT`, for example `127.0.0.1:8025`. Empty: none.",
     into<Config, &Config::admin_address>},
    {"admin", "token_file", file, "\"\"", "", "", "", true,
     "File with the token that callers must show. Empty: loopback only, read only.",
     into<Config, &Config::admin_token_file>},

    {"tls_report", "from", mailbox, "\"\"", "", "", "", true,
     "Who sends reports: an address of a domain that has a `[[dkim.\"DOMAIN\"]]` section, or "
     "receivers pass them over. Empty: none are made.",
     into<Config, &Config::tls_report, &Config::TlsReport::from>},
    {"tls_report", "organization", text, "\"\"", "", "", "", true,
     "Its name in reports. Empty: the domain of `from`.",
     into<Config, &Config::tls_report, &Config::TlsReport::organization>},
    {"tls_report", "contact", text, "\"\"", "", "", "", true,
     "Whom readers may ask: an address or a URL. Empty: `from`.",
     into<Config, &Config::tls_report, &Config::TlsReport::contact>},

    {"dkim", "selector", selector, "", "", "", "", false,
     "Selector: the key is published at `SELECTOR._domainkey.DOMAIN`.",
     into<DkimPolicy, &DkimPolicy::selector>},
    {"dkim", "key", secret, "", "", "", "", false,
     "PEM file with the private key, RSA of 1024 to 2048 bits or Ed25519; for its owner alone "
     "(`chmod 600`).",
     into<DkimPolicy, &DkimPolicy::key>},
    {"dkim", "start", time, "\"\"", "", "", "", true,
     "Signs from then on, `2026-12-01T00:00:00Z`. Empty: always did.",
     into<DkimPolicy, &DkimPolicy::start>},
    {"dkim", "end", time, "\"\"", "", "", "", true,
     "Signs until then. Empty: for ever. The record in DNS has to stay for as long as mail is on "
     "its "
     "way.",
     into<DkimPolicy, &DkimPolicy::end>},
    {"dkim", "expire", duration, "\"14d\"", "1h", "365d", "", true,
     "A signature is good for so long (its tag x=), counted from when the message is sent. Empty: "
     "for ever.",
     into<DkimPolicy, &DkimPolicy::expire>},
};

}  // namespace

std::string ConfigKey::path_in_destination() const {
  constexpr std::string_view prefix = "destination.";
  std::string path(section.starts_with(prefix) ? section.substr(prefix.size())
                                               : std::string_view());
  if (!path.empty()) path += '.';
  return path.append(name);
}

std::span<const ConfigKey> config_keys() { return keys; }
std::span<const ConfigSection> config_sections() { return sections; }

std::span<const ConfigKey> config_keys(std::string_view section) {
  const auto in_section = [section](const ConfigKey& key) { return key.section == section; };
  const auto* first = std::ranges::find_if(keys, in_section);
  const auto* last = std::find_if_not(first, std::end(keys), in_section);
  return {first, last};
}

const ConfigKey* find_config_key(std::string_view section, std::string_view name) {
  for (const ConfigKey& key : keys)
    if (key.section == section && key.name == name) return &key;
  return nullptr;
}

}  // namespace sluice::engine
