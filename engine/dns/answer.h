#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tls/dane.h"
#include "io/socket_address.h"

namespace sluice::engine::dns {

enum class RecordType : uint16_t { a = 1, cname = 5, mx = 15, txt = 16, aaaa = 28, tlsa = 52 };
std::string_view name(RecordType type);

struct MxRecord {
  uint16_t preference = 0;
  std::string host;  // lower case, no final dot; "" for the root, RFC 7505's null MX
  friend bool operator==(const MxRecord&, const MxRecord&) = default;
};

/// From the 4 or 16 octets of an A or AAAA record; port 0.
io::SocketAddress ip_address(std::span<const std::byte> octets);

/// What a name server's message says about one question.
struct Answer {
  static constexpr size_t records_max = 64;  // the MXes of least preference numbers; any addresses
  static constexpr unsigned aliases_max = 16;

  enum class Kind : uint8_t {
    found,          // there are records of the type
    no_data,        // the name exists, records of the type do not
    no_name,        // NXDOMAIN
    alias,          // the name is an alias of `alias`, and the message says no more
    alias_loop,     // of over aliases_max names, or in a circle
    server_failed,  // any other response code: `code`
  };
  Kind kind = Kind::server_failed;
  bool is_authentic = false;  // so the server says (AD, RFC 4035 section 3.2.3)
  uint8_t code = 0;           // RFC 1035 section 4.1.1, RFC 6895 section 2.3
  uint32_t ttl_s = 0;  // the least on the way from the question to the records; of a negative
                       // answer RFC 2308 section 5's, 0 when the message has no SOA
  std::string alias;   // the last one that was followed; of a cname question what was asked for
  std::vector<MxRecord> mx;                  // ascending preference
  std::vector<io::SocketAddress> addresses;  // port 0
  std::vector<tls::TlsaRecord> tlsa;         // ascending
  std::vector<std::string> texts;            // the strings of each TXT record, joined
};

/// `SERVFAIL` and the like; `RCODE 11` for one without a name.
std::string response_code_text(uint8_t code);

/// Reads `message` (RFC 1035 section 4) as the answer to the question for `type` of `name` (lower
/// case, no final dot). The error says in what way it is none. Pure; O(octets) but for aliases,
/// each of which costs a walk over the answers.
std::expected<Answer, std::string_view> read_answer(std::span<const std::byte> message,
                                                    std::string_view name, RecordType type);

}  // namespace sluice::engine::dns
