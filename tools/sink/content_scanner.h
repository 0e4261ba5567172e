#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::tools::sink {

/// Finds the line with a lone dot that ends a message's content (RFC 5321 section 4.1.1.4), over
/// any cuts of the stream. Only CR LF ends a line (section 2.3.8): what ends otherwise is content,
/// so that nothing can be smuggled.
class ContentScanner {
 public:
  /// To be called before each message: the CR LF of the DATA line counts as the one before a lone
  /// dot.
  void begin() { matched_ = after_line_end; }

  /// The octets of `bytes` that belong to the content, its final dot and line end included. `ended`
  /// when they end it.
  size_t scan(std::span<const std::byte> bytes, bool& ended);

 private:
  // How many octets of CR LF dot CR LF were matched.
  static constexpr uint8_t nothing = 0, after_line_end = 2, after_dot = 3, whole = 5;
  uint8_t matched_ = nothing;
};

}  // namespace sluice::tools::sink
