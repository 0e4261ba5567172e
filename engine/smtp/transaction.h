#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/smtp/dsn.h"

namespace sluice::engine::smtp {

/// A message's content, read once from front to back in wire form: CRLF lines, dot-stuffed, ending
/// in CRLF, without the final dot.
class Body {
 public:
  /// False: what comes next is being read; Client::produce() is to be called again when it was.
  virtual bool is_ready() const { return true; }
  /// When is_ready(): fills `out` (never empty) from where the last call ended; 0 only at the end.
  /// Never allocates.
  virtual size_t read(std::span<char> out) = 0;

 protected:
  ~Body() = default;
};

/// One mail transaction (RFC 5321 section 3.3), borrowed by the machine from offer() to
/// transaction_ended() or transaction_returned().
struct Transaction {
  std::string_view sender;                       // without <>; "" is the null sender
  std::span<const std::string_view> recipients;  // without <>; 1 to Client::recipients_max
  uint64_t bytes = 0;                            // estimate for SIZE= (RFC 1870); 0 unknown
  bool needs_8bitmime = false;                   // RFC 6152: the content has octets over 127
  bool needs_smtputf8 = false;                   // RFC 6531: an address or a header has
  bool needs_requiretls = false;                 // RFC 8689: goes to whom TLS proved, or nowhere
  DsnRequest dsn;                                // told to a peer that offers DSN (RFC 3461)
  /// All is sent but the final dot, which waits for Client::release_dot().
  bool withholds_dot = false;
  Body* body = nullptr;
};

/// Number of a transaction within its session: 0, 1, 2 ...
using TransactionNumber = uint32_t;

}  // namespace sluice::engine::smtp
