#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <span>

namespace sluice::spool {

/// Integers of fixed width are stored little-endian (FORMAT.md section 1).
static_assert(std::endian::native == std::endian::little,
              "a big-endian machine needs byte swaps here");

template <std::unsigned_integral T>
void store(std::span<std::byte> out, size_t offset, T value) {
  std::memcpy(out.subspan(offset, sizeof value).data(), &value, sizeof value);
}

template <std::unsigned_integral T>
T load(std::span<const std::byte> in, size_t offset) {
  T value;
  std::memcpy(&value, in.subspan(offset, sizeof value).data(), sizeof value);
  return value;
}

}  // namespace sluice::spool
