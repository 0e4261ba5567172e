#include "tools/sink/content_scanner.h"

#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::tools::sink {
namespace {

constexpr char terminator[] = "\r\n.\r\n";

/// How far `terminator` is matched once `octet` follows what was `matched`.
uint8_t step(uint8_t matched, char octet) {
  if (octet == terminator[matched]) return static_cast<uint8_t>(matched + 1);
  return octet == '\r' ? 1 : 0;
}

/// The first place at or after `from` where a line feed and a dot follow each other, or `size`.
size_t find_line_dot(const char* text, size_t from, size_t size) {
  size_t at = from;
#if defined(__SSE2__)
  const __m128i feeds = _mm_set1_epi8('\n'), dots = _mm_set1_epi8('.');
  for (; at + 17 <= size; at += 16) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + at + 1));
    const __m128i both = _mm_and_si128(_mm_cmpeq_epi8(here, feeds), _mm_cmpeq_epi8(next, dots));
    if (const int mask = _mm_movemask_epi8(both))
      return at + static_cast<size_t>(std::countr_zero(static_cast<unsigned>(mask)));
  }
#endif
  for (; at + 1 < size; ++at)
    if (text[at] == '\n' && text[at + 1] == '.') return at;
  return size;
}

}  // namespace

size_t ContentScanner::scan(std::span<const std::byte> bytes, bool& ended) {
  const char* text = reinterpret_cast<const char*>(bytes.data());
  const size_t size = bytes.size();
  ended = false;
  size_t at = 0;
  for (;;) {
    // Octet by octet through what may be the terminator.
    while (at < size && matched_ != nothing) {
      matched_ = step(matched_, text[at++]);
      if (matched_ == whole) {
        matched_ = nothing;
        ended = true;
        return at;
      }
    }
    if (at == size) return size;
    const size_t feed = find_line_dot(text, at, size);
    if (feed == size) {
      // At most CR LF at the end can begin the terminator.
      const size_t tail = size - at < 2 ? at : size - 2;
      for (at = tail; at < size; ++at) matched_ = step(matched_, text[at]);
      return size;
    }
    const bool is_line_end = feed > at && text[feed - 1] == '\r';
    matched_ = is_line_end ? after_dot : nothing;
    at = feed + 2;
  }
}

}  // namespace sluice::tools::sink
