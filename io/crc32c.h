#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::io {

/// CRC-32C (Castagnoli; RFC 3720 appendix B.4 has examples) of `bytes`. `seed` is 0, or the
/// checksum of what goes before: crc32c(crc32c(0, a), b) is the checksum of a then b. Any other
/// seed salts it. About 0.05 ns an octet with SSE 4.2.
uint32_t crc32c(uint32_t seed, std::span<const std::byte> bytes);

/// The same without special instructions: for processors that lack them, and to test against.
uint32_t crc32c_portable(uint32_t seed, std::span<const std::byte> bytes);

}  // namespace sluice::io
