#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace sluice::engine {

/// A shard's pool of blocks to send from. A session holds one only while octets of it are on their
/// way, so that ten thousand sessions that wait for a reply cost none.
class SendBuffers {
 public:
  static constexpr size_t block_bytes = 16 * 1024;
  static constexpr size_t blocks_max =
      4096;  // 64 MiB a shard: peers that do not read cannot take more
  static constexpr size_t blocks_kept_max = 256;  // free ones beyond this go back to the allocator

  /// nullptr when all are out: wait for one.
  char* acquire();
  void release(char* block);
  bool is_exhausted() const { return out_ == blocks_max; }

 private:
  std::vector<std::unique_ptr<char[]>> free_;
  size_t out_ = 0;
};

}  // namespace sluice::engine
