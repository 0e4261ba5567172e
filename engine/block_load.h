#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/mailing.h"
#include "io/op.h"
#include "io/proactor.h"
#include "spool/campaign.h"

namespace sluice::engine {

/// Reads a batch's block from its campaign's file and finds the entries of its items. One read;
/// when few of a block's recipients are wanted, only their octets are kept. A letter is kept whole.
class BlockLoad {
 public:
  class Listener {
   public:
    /// result() is known.
    virtual void block_loaded(BlockLoad& load) = 0;

   protected:
    ~Listener() = default;
  };
  enum class Result : uint8_t {
    reading,
    ready,       // entry(i) is that of batch().items[i]
    damaged,     // the block is not what was written: these recipients are lost
    unreadable,  // the disk failed: try again later
  };

  /// Submits the read; must live until block_loaded() was called, which may destroy it.
  BlockLoad(io::Proactor& proactor, std::unique_ptr<Batch> batch, Listener& listener);
  BlockLoad(const BlockLoad&) = delete;
  BlockLoad& operator=(const BlockLoad&) = delete;

  Result result() const { return result_; }
  const Batch& batch() const { return *batch_; }
  spool::Bytes entry(size_t i) const { return entries_[i]; }
  /// Null for a campaign's block.
  const LetterPtr& letter() const { return letter_; }

 private:
  void loaded(io::Read& read, const io::Completion& completion);
  Result find_entries(int32_t result);
  bool find_in_block(const spool::BlockRef& ref);
  bool find_in_letter(const spool::BlockRef& ref);
  void take(uint32_t number, spool::Bytes entry);
  void keep_entries_only();

  Listener& listener_;
  std::unique_ptr<Batch> batch_;
  std::vector<std::byte> octets_;      // the block as read, or the entries alone
  std::vector<spool::Bytes> entries_;  // views into octets_, or those of letter_
  LetterPtr letter_;
  Result result_ = Result::reading;
  io::Read read_;
};

}  // namespace sluice::engine
