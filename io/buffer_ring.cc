#include "io/buffer_ring.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>

#include "io/check.h"

namespace sluice::io {
namespace {

void* map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

BufferRing::~BufferRing() {
  if (memory_) munmap(memory_, size_t{count_} * buffer_bytes_);
  if (entries_) munmap(entries_, count_ * sizeof(io_uring_buf));
}

int BufferRing::open(io_uring& ring, uint16_t group, unsigned count, unsigned buffer_bytes) {
  CHECK(!entries_ && std::has_single_bit(count) && count <= 32768);
  group_ = group;
  count_ = count;
  buffer_bytes_ = buffer_bytes;
  entries_ = static_cast<io_uring_buf_ring*>(map(count * sizeof(io_uring_buf)));
  memory_ = static_cast<std::byte*>(map(size_t{count} * buffer_bytes));
  if (!entries_ || !memory_) return -ENOMEM;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(entries_);
  registration.ring_entries = count;
  registration.bgid = group;
  if (const int result = io_uring_register_buf_ring(&ring, &registration, 0); result < 0)
    return result;
  io_uring_buf_ring_init(entries_);
  for (unsigned id = 0; id < count; ++id) give_back(static_cast<uint16_t>(id));
  return 0;
}

void BufferRing::give_back(uint16_t id) {
  io_uring_buf_ring_add(entries_, memory_ + size_t{id} * buffer_bytes_, buffer_bytes_, id,
                        io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace sluice::io
