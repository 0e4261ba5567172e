#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace sluice::io {

/// The buffers that the kernel receives into: a provided-buffer ring
/// (io_uring_register_buf_ring(3)) and the memory it names. A buffer belongs to the kernel until a
/// completion names it, then to us until give_back().
class BufferRing {
 public:
  BufferRing() = default;
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;
  ~BufferRing();

  /// Registers `count` (a power of two, at most 32768) buffers of `buffer_bytes` octets as group
  /// `group` of `ring`. 0 or a negated errno. The ring must be gone before this object is.
  int open(io_uring& ring, uint16_t group, unsigned count, unsigned buffer_bytes);

  uint16_t group() const { return group_; }
  std::span<const std::byte> bytes(uint16_t id, size_t size) const {
    return {memory_ + size_t{id} * buffer_bytes_, size};
  }
  void give_back(uint16_t id);

 private:
  io_uring_buf_ring* entries_ = nullptr;
  std::byte* memory_ = nullptr;
  unsigned count_ = 0, buffer_bytes_ = 0;
  uint16_t group_ = 0;
};

}  // namespace sluice::io
