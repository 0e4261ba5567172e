#pragma once

#include <string_view>

#include "engine/dkim/body_hash.h"
#include "engine/dkim/signed_header.h"

namespace sluice::engine::dkim {

/// Takes the stuffed dots off content in wire form (RFC 5321 section 4.5.2), split anywhere.
class Unstuffing {
 public:
  /// What comes next, taken off the front of `wire`: the rest of a line, its CRLF included. "":
  /// `wire` was taken whole.
  std::string_view next_line(std::string_view& wire) { return next(wire, "\n"); }
  /// The same of as many lines as have no dot in front.
  std::string_view next_lines(std::string_view& wire) { return next(wire, "\n."); }
  bool is_at_line_start() const { return is_at_line_start_; }

 private:
  std::string_view next(std::string_view& wire, std::string_view end);

  bool is_at_line_start_ = true;
};

/// Reads a message as it is sent and hashes what signatures cover: its header's fields are
/// gathered, its body goes through `relaxed` into SHA-256. Content in wire form, in pieces split
/// anywhere.
class MessageHash {
 public:
  /// A body as far as it was read. A value.
  struct Body {
    BodyHash hash;
    Unstuffing unstuffing;
  };

  void clear();
  void update(std::string_view wire) { update_body(update_header(wire)); }
  /// Takes the header's part of `wire` alone; returns the rest. Before resume_body(), what comes
  /// behind the header need not be hashed.
  std::string_view update_header(std::string_view wire);
  /// The header is over: header() is whole.
  bool is_in_body() const { return is_in_body_; }
  const SignedHeader& header() const { return header_; }

  const Body& body() const { return body_; }
  /// The rest of the body follows what `body` has read.
  void resume_body(const Body& body) { body_ = body; }
  /// Nothing follows: header() is whole, and this is the body's hash.
  Digest finish();

 private:
  void take_header(std::string_view octets);
  void update_body(std::string_view wire);

  SignedHeader header_;
  Body body_;
  bool is_in_body_ = false;
  bool is_empty_line_ = true;  // so far, but for its end
};

}  // namespace sluice::engine::dkim
