#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "spool/leb128.h"

namespace sluice::engine {

using spool::put_leb128;

/// Reads what put_leb128() and plain octets wrote, from octets that nobody vouches for. Once
/// something was missing or too large it has failed, and gives zeros and empty strings.
class Leb128Reader {
 public:
  explicit Leb128Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  uint64_t integer(uint64_t max = UINT64_MAX) {
    uint64_t value = 0;
    if (!failed_ && spool::get_leb128(rest_, value) && value <= max) return value;
    failed_ = true;
    return 0;
  }

  uint8_t octet() {
    if (rest_.empty()) failed_ = true;
    if (failed_) return 0;
    const auto octet = std::to_integer<uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return octet;
  }

  std::string_view octets(uint64_t count) {
    if (count > rest_.size()) failed_ = true;
    if (failed_) return {};
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  /// What was not read yet.
  std::span<const std::byte> rest() const { return rest_; }

 private:
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

}  // namespace sluice::engine
