#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::spool {

/// Appends `value` to `out`, a string or a vector of octets, as LEB128: seven bits an octet, the
/// lowest first, the high bit set on all but the last. 1 to 10 octets.
template <class Octets>
void put_leb128(Octets& out, uint64_t value) {
  using Octet = typename Octets::value_type;
  while (value >= 0x80) {
    out.push_back(static_cast<Octet>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<Octet>(value));
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
