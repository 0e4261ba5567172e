#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engine/mail/notice.h"
#include "io/event_loop.h"
#include "spool/error.h"
#include "spool/handoff.h"

namespace sluice::engine::notices {

/// A notice on its way out.
struct Notice {
  std::string to;  // in the normal form of recipients: addressee_of() gives it
  mail::ComposedNotice message;
  bool is_tls_required = false;  // RFC 8689 section 5: as of the message
};

/// Queues notices in the spool: those of a while together as one campaign `notice-RANDOM`, from the
/// null sender, which the engine picks up, delivers, retries and expires like any other. One a
/// shard; never blocks.
///
/// After post() a notice is in memory only. Once notices_durable() was told a position that covers
/// it, it is in the spool and will be delivered, whatever crashes. So that no failure goes untold,
/// the fate of a recipient must become durable only behind its notice: a crash between the two
/// repeats the attempt or the notice, and never loses the notice. When the disk refuses, nothing is
/// lost: the same file is tried again every second, under the same id, so that no notice is queued
/// twice by that.
class NoticeBox {
 public:
  static constexpr size_t notices_per_file_max = 1000;
  static constexpr size_t file_bytes_max = 4 * 1024 * 1024;  // of notices; one may pass it
  static constexpr size_t pending_bytes_max = 16 * 1024 * 1024;
  /// From the begin of one file to that of the next, unless a whole file's notices wait.
  static constexpr io::Duration gather_time = std::chrono::seconds(1);

  class Listener {
   public:
    /// Everything post()ed up to `position` is durable.
    virtual void notices_durable(uint64_t position) = 0;
    /// Called once when the spool refuses; what needs notices should pause.
    virtual void notices_stalled(const spool::Error& error) = 0;
    virtual void notices_resumed() = 0;

   protected:
    ~Listener() = default;
  };

  NoticeBox(io::EventLoop& loop, const std::string& spool, const std::string& hostname,
            Listener& listener);
  NoticeBox(const NoticeBox&) = delete;
  NoticeBox& operator=(const NoticeBox&) = delete;
  /// Waits for what is in flight; what is not durable then is lost, and its fates are not recorded.
  ~NoticeBox();

  /// Position of this notice: counts from 1. Taken also when is_full(), which is to be asked before
  /// an attempt that may need one begins.
  uint64_t post(Notice notice);
  /// To be called at the end of a turn: begins a file of what is pending, unless one is being
  /// written or the last one is not gather_time old (a timer calls it then).
  void flush();

  uint64_t durable() const { return durable_; }
  bool is_full() const { return pending_bytes_ >= pending_bytes_max; }
  bool is_stalled() const { return is_stalled_; }
  /// Everything posted is durable, and told.
  bool is_idle() const { return durable_ == posted_ && !handoff_.is_in_flight(); }

 private:
  size_t next_file_notices() const;
  void encode();
  void hand_over();
  void handed_over(std::expected<void, spool::Error> result);

  io::EventLoop& loop_;
  const std::string hostname_;
  Listener& listener_;
  std::deque<Notice> pending_;  // in no file yet
  size_t pending_bytes_ = 0;    // of these and of the file being written
  uint64_t posted_ = 0, durable_ = 0;

  std::string id_;                 // of the file being written, or to be tried again
  std::vector<std::byte> octets_;  // of that file; empty: none
  size_t file_notices_ = 0, file_bytes_ = 0;
  io::Instant next_file_{};
  bool is_stalled_ = false;
  io::Timer timer_;  // of the next file, or the next try
  spool::Handoff handoff_;
};

}  // namespace sluice::engine::notices
