#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/event_loop.h"
#include "spool/error.h"
#include "spool/mail_name.h"
#include "spool/mail_record.h"
#include "spool/mail_sealer.h"
#include "spool/mail_segment.h"

namespace sluice::spool {

/// Keeps one shard's mail: appends messages to segments of its own and makes them durable by group
/// commit (FORMAT.md section 7). After append() a message is in memory only. It is acknowledged
/// when mail_durable() speaks of its ticket: written and fdatasynced, in one go with all that were
/// appended before the commit began. One commit runs at a time; what is appended meanwhile goes
/// with the next. When the disk refuses, all that is not acknowledged is given up and the writer is
/// *stalled*: it takes nothing, and tries every second whether the disk takes a new segment.
///
/// Memory: two buffers of pending_bytes_max, kept once they were used. Open files: one a segment
/// whose mail is not finished, which is one for each 64 MiB of it, and one for each hour in which
/// some of it came. Cost: one copy of the content, one pass for its checksum.
class MailWriter {
 public:
  class Listener {
   public:
    /// The messages with tickets [first_ticket, first_ticket + count) are durable: blocks of
    /// `segment` from `first_block` on, in the same order. append() may be called from within.
    virtual void mail_durable(uint64_t first_ticket, uint32_t count,
                              const std::shared_ptr<const MailSegment>& segment,
                              uint32_t first_block) = 0;
    /// Nothing is appended to `segment` any more, of which mail_durable() spoke: it may be
    /// finished.
    virtual void mail_sealed(const std::shared_ptr<const MailSegment>& segment) = 0;
    /// What was appended and not told to be durable is refused: a submitter that waits is to be
    /// told to come again (whether it is there after a crash nobody knows; after this call, when
    /// the disk lets it be cut off, it is not).
    virtual void mail_stalled(const Error& error) = 0;
    virtual void mail_resumed() = 0;

   protected:
    ~Listener() = default;
  };

  /// Octets of records that wait for a commit.
  static constexpr size_t pending_bytes_max = 8 * 1024 * 1024;

  /// `spool`: its folder, with `mail/` in it; `mail_class`: see MailName. `sequence` is above that
  /// of every segment there (Recovered::next_sequence). Nothing is created before the first commit.
  MailWriter(io::EventLoop& loop, const std::string& spool, unsigned shard, uint64_t sequence,
             Listener& listener, uint8_t mail_class = 0);
  MailWriter(const MailWriter&) = delete;
  MailWriter& operator=(const MailWriter&) = delete;
  /// Waits for what is in flight and seals the segment; other operations' callbacks may run
  /// meanwhile, the listener's do not. What is not durable then is not acknowledged.
  ~MailWriter();

  /// The message's ticket; they count from 1. nullopt, "not now": the writer is stalled, or
  /// pending_bytes_max wait. mail_payload_bytes(mail) must be at most mail_bytes_max.
  std::optional<uint64_t> append(const NewMail& mail);
  bool has_pending() const { return pending_.messages > 0; }  // appended and in no commit yet
  bool is_committing() const { return is_busy_; }
  bool is_stalled() const { return is_stalled_; }

  /// Starts a commit of all that is pending, unless one runs or nothing is pending: for the end of
  /// a turn.
  void commit();

 private:
  /// The records of messages that share a commit, behind room for the file's header, should it be a
  /// segment's first.
  struct Batch {
    std::vector<std::byte> octets = std::vector<std::byte>(file_header_bytes);
    uint32_t messages = 0;

    size_t record_bytes() const { return octets.size() - file_header_bytes; }
    void clear() { octets.resize(file_header_bytes), messages = 0; }
  };
  /// The segment being written; its recipients, blocks and bytes are what is acknowledged.
  struct OpenSegment {
    std::shared_ptr<MailSegment> mail;
    Salt salt;
    uint64_t end = 0;         // acknowledged octets, the header included; 0: none
    uint64_t reserved = 0;    // octets from the front that have their disk
    bool can_reserve = true;  // not every file system can
  };

  bool is_full() const;
  void let_go(bool is_sound);
  void open_segment();
  void opened(io::Open&, const io::Completion& completion);
  void reserve();
  void allocated(io::Allocate&, const io::Completion& completion);
  void write();
  void written(io::Write&, const io::Completion& completion);
  void directory_synced(io::SyncDirectory&, const io::Completion& completion);
  void committed();
  void failed(std::string_view what, int32_t result);
  void retry();

  io::EventLoop& loop_;
  io::Proactor& proactor_;
  Listener* listener_;  // nullptr in the destructor
  const std::string folder_;
  const unsigned shard_;
  const uint8_t mail_class_;
  uint64_t sequence_;

  Batch pending_, committing_;
  uint64_t tickets_ = 0;  // given
  uint64_t settled_ = 0;  // of these: durable or refused
  bool is_busy_ = false;  // a commit runs
  bool is_stalled_ = false;
  io::Timer retry_timer_;

  MailName name_;  // of the segment being opened
  std::optional<OpenSegment> segment_;
  io::Open open_;
  io::Allocate allocate_;
  io::Write write_;
  io::SyncDirectory sync_directory_;
  MailSealer sealer_;
};

}  // namespace sluice::spool
