#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "io/clock.h"

namespace sluice::sim {

/// What happened in a world, in order: always as a hash, as lines of text when asked for.
class Trace {
 public:
  void note(io::Instant now, std::string_view what, uint64_t a = 0, uint64_t b = 0,
            int64_t result = 0);

  uint64_t hash() const { return hash_; }
  uint64_t events() const { return events_; }

  void keep_text() { keeps_text_ = true; }
  const std::string& text() const { return text_; }

 private:
  void mix(uint64_t value);

  uint64_t hash_ = 0xCBF29CE484222325u, events_ = 0;
  bool keeps_text_ = false;
  std::string text_;
};

}  // namespace sluice::sim
