#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/smtp/dsn.h"

namespace sluice::engine::smtp {

/// A recipient as RCPT named it.
struct IncomingRecipient {
  std::string address;   // domain in A-labels, lower case; "postmaster", in any case, has none
  std::string original;  // ORCPT as it came, `rfc822;a+2Bb@example.net` in xtext; "" for none
  Notify notify = 0;
  bool needs_smtputf8 = false;  // the local part has octets over 127
};

/// The envelope of a transaction under way (RFC 5321 section 3.3, RFC 3461 section 4). It is
/// emptied, not destroyed, for the next one: no allocation in steady state.
class Incoming {
 public:
  std::string sender;       // as IncomingRecipient::address; "" is the null sender
  std::string envelope_id;  // ENVID, xtext undone; "" for none
  ReturnedContent returned = ReturnedContent::unsaid;
  uint64_t bytes_declared = 0;         // SIZE (RFC 1870); 0: not told
  bool is_8bit = false;                // BODY=8BITMIME
  bool is_smtputf8 = false;            // SMTPUTF8 was asked for: header fields may be UTF-8
  bool sender_needs_smtputf8 = false;  // its local part has octets over 127
  bool is_tls_required = false;        // REQUIRETLS (RFC 8689)

  std::span<const IncomingRecipient> recipients() const { return {recipients_.data(), count_}; }
  /// An empty one at the end of recipients().
  IncomingRecipient& add_recipient();
  void remove_last_recipient() { --count_; }
  void clear();

 private:
  std::vector<IncomingRecipient> recipients_;  // the first count_ are meant
  size_t count_ = 0;
};

}  // namespace sluice::engine::smtp
