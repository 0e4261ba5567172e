#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::engine {

/// Unsigned LEB128: seven bits an octet, least first, the high bit set on all but the last.
inline void put_leb128(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

/// Reads what put_leb128() and plain octets wrote, from octets that nobody vouches for. Once
/// something was missing or too large it has failed, and gives zeros and empty strings.
class Leb128Reader {
 public:
  explicit Leb128Reader(std::span<const std::byte> bytes)
      : rest_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  uint64_t integer(uint64_t max = UINT64_MAX) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto octet = this->octet();
      if (shift == 63 && octet > 1) break;
      value |= static_cast<uint64_t>(octet & 0x7f) << shift;
      if (octet < 0x80) {
        if (value > max) break;
        return value;
      }
    }
    failed_ = true;
    return 0;
  }

  uint8_t octet() {
    if (rest_.empty()) failed_ = true;
    if (failed_) return 0;
    const auto octet = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return octet;
  }

  std::string_view octets(uint64_t count) {
    if (count > rest_.size()) failed_ = true;
    if (failed_) return {};
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  bool failed() const { return failed_; }
  bool at_end() const { return rest_.empty(); }
  /// What was not read yet.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace sluice::engine
