#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice::spool {

/// Appends `value` as LEB128: seven bits an octet, the lowest first, the high bit set on all but
/// the last. 1 to 10 octets.
inline void put_leb128(std::vector<std::byte>& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::byte>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::byte>(value));
}

/// Takes a LEB128 value off the front of `in`. False when `in` ends within it or it does not fit 64
/// bits.
inline bool get_leb128(std::span<const std::byte>& in, uint64_t& value) {
  value = 0;
  for (unsigned i = 0, shift = 0; i < in.size() && shift < 64; ++i, shift += 7) {
    const auto octet = std::to_integer<uint64_t>(in[i]);
    if (shift == 63 && octet > 1) return false;
    value |= (octet & 0x7f) << shift;
    if (octet < 0x80) {
      in = in.subspan(i + 1);
      return true;
    }
  }
  return false;
}

}  // namespace sluice::spool
