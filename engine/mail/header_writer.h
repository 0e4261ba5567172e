#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "engine/mail/program.h"

namespace sluice::engine::mail {

/// Lays out one header field: elements are separated by a space, or a fold where a line would pass
/// 78 octets (RFC 5322 section 2.1.1), encoded as their layout says, and kept clean of control
/// characters. No line passes 998 octets, whatever it is given.
class HeaderWriter {
 public:
  /// Appends to `out`, which holds the field's name and colon from `begin` on.
  HeaderWriter(std::string& out, size_t begin);

  /// `text` is UTF-8; it is trimmed, and may be changed. Nothing is written for an empty one.
  void element(std::string& text, Layout layout);

  /// Was anything but commas written?
  bool is_empty() const { return is_empty_; }
  /// Ends the field with CRLF.
  void finish();

 private:
  void put_comma();
  void separate(size_t bytes);
  void unstructured(std::string_view text);
  void phrase(std::string_view text);
  void words(std::string_view text);
  void address(std::string_view text, bool angle);
  void token(std::string_view text);

  std::string& out_;
  size_t column_;
  bool comma_ = false;
  bool is_empty_ = true;
};

}  // namespace sluice::engine::mail
