#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/clock.h"
#include "io/op.h"
#include "spool/campaign.h"
#include "spool/mail_name.h"

namespace sluice::spool {

struct Mail;

inline constexpr uint64_t mail_segment_bytes_max = 64 * 1024 * 1024;

/// Up to `capacity` values that never move: appended by one thread, read by any below a number that
/// the appender published.
template <class T>
class Chunks {
  static constexpr uint32_t count = 17, first_size = 256;  // each has twice the size of the last

 public:
  static constexpr uint32_t capacity = first_size * ((1u << count) - 1);

  T& grow(uint32_t index) {
    const Place at = place(index);
    if (!chunks_[at.chunk]) chunks_[at.chunk] = std::make_unique<T[]>(first_size << at.chunk);
    return chunks_[at.chunk][at.index];
  }
  const T& operator[](uint32_t index) const {
    const Place at = place(index);
    return chunks_[at.chunk][at.index];
  }

 private:
  struct Place {
    uint32_t chunk, index;
  };
  static Place place(uint32_t index) {
    const auto chunk = static_cast<uint32_t>(std::bit_width(index / first_size + 1) - 1);
    return {chunk, index - first_size * ((1u << chunk) - 1)};
  }
  std::array<std::unique_ptr<T[]>, count> chunks_;
};

/// A segment of mail as a campaign that grows (FORMAT.md section 7): a message is a block. All that
/// is seen here is durable. Its file is open, for reading too, until the Spool closes it.
///
/// Threads: one shard appends (its MailWriter); all others read at any time. What the numbers
/// recipients(), blocks(), bytes() and groups().size() say at a moment stays as it is for ever, and
/// recipients of them have their blocks and groups; only these numbers grow, until is_sealed().
///
/// Memory: 20 octets a message, 16 a run of recipients of one group, each name once; in chunks that
/// double from 256.
class MailSegment final : public Campaign {
 public:
  /// More than there can be in mail_segment_bytes_max.
  static constexpr uint32_t runs_max = Chunks<uint32_t>::capacity;

  MailSegment(const MailName& name, std::string path, io::File file);

  const CampaignInfo& info() const override { return info_; }
  uint32_t recipients() const override { return recipients_.load(std::memory_order_acquire); }
  /// None: each message has its own.
  Bytes message() const override { return {}; }
  /// Runs of recipients of one name and sender, ascending; they may come again.
  uint32_t group_count() const override { return runs_.load(std::memory_order_acquire); }
  Group group(uint32_t index) const override;
  uint32_t blocks() const override { return blocks_.load(std::memory_order_acquire); }
  BlockRef block(uint32_t index) const override;
  uint32_t block_of(uint32_t recipient) const override;
  io::File file() const override { return file_; }
  const std::string& path() const override { return path_; }
  uint64_t bytes() const override { return bytes_.load(std::memory_order_acquire); }

  io::WallTime arrival_of(uint32_t recipient) const override {
    return accepted_at(block_of(recipient));
  }
  /// O(log messages).
  uint32_t arrived_until(io::WallTime at) const override;
  /// What all of its messages have in common: see MailName.
  uint8_t mail_class() const { return mail_class_; }
  /// When the message of this block was; expiry counts from here. To the millisecond.
  io::WallTime accepted_at(uint32_t block) const;
  /// The index of the group of `recipient`. O(log groups).
  uint32_t group_of(uint32_t recipient) const;
  /// Nothing is appended any more: it may be finished when all its recipients have fates.
  bool is_sealed() const { return is_sealed_.load(std::memory_order_acquire); }

  // --- For the thread that appends; seen by others after publish(). ---

  struct Place {
    uint64_t offset = 0;
    uint32_t bytes = 0;
    uint32_t recipients = 0;
    io::WallTime accepted_at{};  // of the first message: the segment's
  };
  void add_message(const Place& place);
  /// A message and its recipients; its record lies at `offset`, `bytes` octets in all.
  void add(uint64_t offset, uint32_t bytes, const Mail& mail);
  /// The next `count` recipients of those added go to group `name`, from `sender`; neighbours in a
  /// commit that have the same of both are one run.
  void add_recipients(std::string_view name, std::string_view sender, uint32_t count);
  /// `bytes`: of the file.
  void publish(uint64_t bytes);
  void seal();

 private:
  struct Message {
    uint32_t offset, bytes, first, count, accepted_ms;
  };
  struct Run {
    uint32_t first, count, name, sender;  // the last two in names_
  };
  struct Numbers {
    uint32_t recipients = 0, blocks = 0, runs = 0;
  };

  uint32_t name_number(std::string_view name);

  CampaignInfo info_;
  const std::string path_;
  const io::File file_;
  const Salt salt_;
  const uint8_t mail_class_;
  Chunks<Message> messages_;
  Chunks<Run> run_list_;
  Chunks<std::string> names_;
  std::unordered_map<std::string_view, uint32_t> name_numbers_;  // until it is sealed
  Numbers next_;                                                 // once published
  std::atomic<uint32_t> recipients_ = 0, blocks_ = 0, runs_ = 0;
  std::atomic<uint64_t> bytes_ = 0;
  std::atomic<bool> is_sealed_ = false;
};

}  // namespace sluice::spool
