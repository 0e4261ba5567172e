// A file of SPOOL/tlsrpt/ may hold anything. What is read writes itself, and reads as the same.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/tlsrpt/day_text.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::engine::tlsrpt;
  const auto day = parse_day({reinterpret_cast<const char*>(data), size});
  if (!day) return 0;
  const auto again = parse_day(text_of(*day));
  CHECK(again && text_of(*again) == text_of(*day));
  return 0;
}
