#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::engine::report {

/// Appends `text` as a JSON string, quotes included, in valid UTF-8 whatever its octets are:
/// controls (C0, DEL, C1) become \u00XX, each octet that is no UTF-8 becomes U+FFFD. About a
/// nanosecond for eight plain octets.
void append_json_string(std::string& out, std::string_view text);

/// Appends an unsigned number in decimal.
void append_json_number(std::string& out, uint64_t number);

/// One object, written key by key into `out`. Keys are ours: plain, never escaped.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  void end() { out_ += '}'; }

  void string(std::string_view key, std::string_view value) {
    begin(key);
    append_json_string(out_, value);
  }
  void number(std::string_view key, uint64_t value) {
    begin(key);
    append_json_number(out_, value);
  }
  /// For a value that the caller appends itself.
  std::string& begin(std::string_view key) {
    const size_t size = out_.size(), comma = is_first_ ? 0 : 1;
    is_first_ = false;
    const size_t wanted = size + comma + key.size() + 3;
    // libstdc++ 12 hands the grown capacity in as the size: what was asked for is returned instead.
    out_.resize_and_overwrite(wanted, [&](char* begin, size_t) {
      char* at = begin + size;
      if (comma) *at++ = ',';
      *at++ = '"';
      at = std::copy(key.begin(), key.end(), at);
      *at++ = '"';
      *at = ':';
      return wanted;
    });
    return out_;
  }

 private:
  std::string& out_;
  bool is_first_ = true;
};

}  // namespace sluice::engine::report
