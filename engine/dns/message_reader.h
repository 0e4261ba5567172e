#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace sluice::engine::dns {

/// Walks over a DNS message (RFC 1035 section 4) without ever leaving it. After a step that failed
/// every further one fails.
class MessageReader {
 public:
  explicit MessageReader(std::span<const std::byte> message) : message_(message) {}

  std::optional<uint8_t> take_u8();
  std::optional<uint16_t> take_u16();
  std::optional<uint32_t> take_u32();

  /// A domain name, which may be compressed (section 4.1.4): lower case, labels joined by dots, ""
  /// for the root. Octets other than letters, digits, `-` and `_` come as \DDD (section 5.1), so
  /// that no name passes for another.
  std::optional<std::string> take_name();
  /// The same, without an answer: false when it is none.
  bool skip_name();
  bool skip(size_t octets);

  size_t offset() const { return offset_; }
  size_t left() const { return message_.size() - offset_; }
  /// Goes to `offset`, at most the message's end.
  void go_to(size_t offset);

 private:
  bool take_labels(std::string* text);

  std::span<const std::byte> message_;
  size_t offset_ = 0;
};

}  // namespace sluice::engine::dns
