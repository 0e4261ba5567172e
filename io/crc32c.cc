#include "io/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace sluice::io {
namespace {

constexpr uint32_t polynomial = 0x82f63b78;  // reflected
constexpr size_t word_bytes = 8;
static_assert(std::endian::native == std::endian::little);

using Tables = std::array<std::array<uint32_t, 256>, word_bytes>;

/// Slicing by eight: tables[k][b] is the remainder of octet b followed by k zero octets.
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t octet = 0; octet < 256; ++octet) {
    uint32_t remainder = octet;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ (remainder & 1 ? polynomial : 0);
    tables[0][octet] = remainder;
  }
  for (size_t k = 1; k < word_bytes; ++k)
    for (size_t octet = 0; octet < 256; ++octet) {
      const uint32_t before = tables[k - 1][octet];
      tables[k][octet] = (before >> 8) ^ tables[0][before & 255];
    }
  return tables;
}

constexpr Tables tables = make_tables();

uint64_t load(const std::byte* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc32c_sse42(uint32_t seed,
                                                        std::span<const std::byte> bytes) {
  uint64_t crc = ~seed;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= word_bytes; at += word_bytes, left -= word_bytes)
    crc = _mm_crc32_u64(crc, load(at));
  auto tail = static_cast<uint32_t>(crc);
  for (; left > 0; ++at, --left) tail = _mm_crc32_u8(tail, std::to_integer<uint8_t>(*at));
  return ~tail;
}
#endif

}  // namespace

uint32_t crc32c_portable(uint32_t seed, std::span<const std::byte> bytes) {
  uint32_t crc = ~seed;
  const std::byte* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= word_bytes; at += word_bytes, left -= word_bytes) {
    const uint64_t word = load(at) ^ crc;
    crc = 0;
    for (size_t k = 0; k < word_bytes; ++k)
      crc ^= tables[word_bytes - 1 - k][(word >> (8 * k)) & 255];
  }
  for (; left > 0; ++at, --left)
    crc = (crc >> 8) ^ tables[0][(crc ^ std::to_integer<uint32_t>(*at)) & 255];
  return ~crc;
}

uint32_t crc32c(uint32_t seed, std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool has_sse42 = __builtin_cpu_supports("sse4.2");
  if (has_sse42) return crc32c_sse42(seed, bytes);
#endif
  return crc32c_portable(seed, bytes);
}

}  // namespace sluice::io
