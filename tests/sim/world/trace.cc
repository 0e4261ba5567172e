#include "tests/sim/world/trace.h"

#include <fmt/format.h>

#include <iterator>

namespace sluice::sim {

void Trace::mix(uint64_t value) {
  hash_ ^= value;
  hash_ *= 0x9E3779B97F4A7C15u;
  hash_ ^= hash_ >> 29;
}

void Trace::note(io::Instant now, std::string_view what, uint64_t a, uint64_t b, int64_t result) {
  const auto time_ns = static_cast<uint64_t>(now.time_since_epoch().count());
  ++events_;
  mix(time_ns);
  for (const char c : what) mix(static_cast<unsigned char>(c));
  mix(a), mix(b), mix(static_cast<uint64_t>(result));
  if (keeps_text_)
    fmt::format_to(std::back_inserter(text_), "{:>16.9f} {:<16} {:>4} {:>8} {}\n",
                   static_cast<double>(time_ns) * 1e-9, what, a, b, result);
}

}  // namespace sluice::sim
