#include "engine/smtp/content_scanner.h"

#include <bit>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::engine::smtp {
namespace {

bool is_notable(char c) { return c == '\r' || c == '\n' || c == '\0'; }

/// The first CR, LF or NUL at or after `from`, or the size. `is_8bit` becomes true when an octet
/// before it is over 127.
size_t find_notable(std::string_view text, size_t from, bool& is_8bit) {
  size_t at = from;
#if defined(__SSE2__)
  const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n'), nul = _mm_setzero_si128();
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i octets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i notable =
        _mm_or_si128(_mm_cmpeq_epi8(octets, nul),
                     _mm_or_si128(_mm_cmpeq_epi8(octets, cr), _mm_cmpeq_epi8(octets, lf)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(notable));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(octets));
    // Below the lowest bit of the mask; all when it has none.
    is_8bit |= (high & ~mask & (mask - 1)) != 0;
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(mask));
  }
#endif
  for (; at < text.size() && !is_notable(text[at]); ++at) is_8bit |= (text[at] & 0x80) != 0;
  return at;
}

}  // namespace

size_t ContentScanner::pass(std::string_view octets) {
  size_t at = 0;
  while (at < octets.size()) {
    if (after_cr_) {
      after_cr_ = false;
      if (octets[at] == '\n') {
        line_bytes_ = 0;
        ++at;
        continue;
      }
      note(ContentFault::bare_cr);
      ++line_bytes_;
    }
    if (line_bytes_ == 0 && octets[at] == '.') return at;
    const size_t end = find_notable(octets, at, is_8bit_);
    line_bytes_ += end - at;
    if (line_bytes_ > line_bytes_max) note(ContentFault::long_line);
    at = end;
    if (at == octets.size()) break;
    if (octets[at] == '\r') {
      after_cr_ = true;
    } else {
      note(octets[at] == '\n' ? ContentFault::bare_lf : ContentFault::nul);
      ++line_bytes_;
    }
    ++at;
  }
  return octets.size();
}

void ContentScanner::end() {
  if (after_cr_) note(ContentFault::bare_cr);
}

}  // namespace sluice::engine::smtp
