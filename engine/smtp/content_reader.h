#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/smtp/content_scanner.h"

namespace sluice::engine::smtp {

/// Reads a message's content out of the stream, as DATA or as chunks of BDAT, and gives it out in
/// wire form: CRLF lines, dot-stuffed, without the final dot.
class ContentReader {
 public:
  enum class Step : uint8_t {
    needs_input,  // all input was taken
    piece,        // piece() is the content's next part
    ended,        // DATA: behind the final dot. BDAT: the chunk is whole
  };

  /// Before each message: what follows is content up to the final dot.
  void begin_data();
  /// Before each chunk: the next `octets` are content (RFC 3030 section 2). `is_first` of its
  /// message, `is_last`.
  void begin_chunk(uint64_t octets, bool is_first, bool is_last);

  /// Takes content off the front of `input`. After `ended` begin again.
  Step take(std::span<const std::byte>& input);

  /// Until the next call of take(): a view into its input or into constants.
  std::string_view piece() const { return piece_; }
  uint64_t wire_bytes() const { return wire_bytes_; }  // of all pieces
  /// As SIZE counts (RFC 1870 section 5): before dot-stuffing.
  uint64_t message_bytes() const { return wire_bytes_ - stuffed_dots_; }
  bool is_8bit() const { return scanner_.is_8bit(); }
  ContentFault fault() const { return scanner_.fault(); }

 private:
  Step take_data(std::span<const std::byte>& input);
  Step take_chunk(std::span<const std::byte>& input);
  Step give(std::string_view piece);

  ContentScanner scanner_;
  std::string_view piece_;
  uint64_t wire_bytes_ = 0, stuffed_dots_ = 0;
  uint64_t chunk_bytes_ = 0;  // of it still to come
  uint8_t held_ = 0;  // DATA: octets of ".\r", taken and not given, of what may be the final dot
  bool is_data_ = true, is_last_chunk_ = false;
};

}  // namespace sluice::engine::smtp
