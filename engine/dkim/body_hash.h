#pragma once

#include <openssl/sha.h>

#include <cstdint>
#include <string_view>

#include "engine/dkim/key.h"

namespace sluice::engine::dkim {

/// SHA-256 of a body as the canonicalization `relaxed` has it (RFC 6376 section 3.4.4), taken in
/// pieces split anywhere. Lines end in CRLF, dots are not stuffed; a CR or LF by itself is an octet
/// like any other. A value: a copy made on the way goes on from there by itself, which is how what
/// many bodies begin with is hashed once. Costs about what SHA-256
/// does.
class BodyHash {
 public:
  BodyHash() { SHA256_Init(&sha_); }

  void update(std::string_view octets);
  /// Nothing follows.
  Digest finish();

 private:
  class Output;
  void take_special(char c, Output& out);
  void put_waiting(Output& out);

  SHA256_CTX sha_;
  uint64_t line_ends_ = 0;  // not hashed yet: at the end of the body they do not count
  bool has_blank_ = false;  // likewise: at the end of a line it does not count
  bool has_cr_ = false;     // the last octet: is it a line's end?
  bool has_text_ = false;
};

}  // namespace sluice::engine::dkim
