#include "engine/send_buffers.h"

#include "io/check.h"

namespace sluice::engine {

char* SendBuffers::acquire() {
  if (out_ == blocks_max) return nullptr;
  ++out_;
  if (free_.empty()) return new char[block_bytes];
  char* block = free_.back().release();
  free_.pop_back();
  return block;
}

void SendBuffers::release(char* block) {
  CHECK(out_ > 0);
  --out_;
  std::unique_ptr<char[]> owned(block);
  if (free_.size() < blocks_kept_max) free_.push_back(std::move(owned));
}

}  // namespace sluice::engine
