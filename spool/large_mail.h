#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/proactor.h"
#include "spool/error.h"
#include "spool/mail_name.h"
#include "spool/mail_record.h"
#include "spool/mail_segment.h"

namespace sluice::spool {

/// Keeps a message that is too large for a segment beside others: in a segment of its own
/// (FORMAT.md section 7.5), written while the content comes. Without blocking; what is not written
/// yet is in memory: room_bytes and what one append() goes beyond that, and as much again while it
/// is being written. Nothing is seen of it before large_mail_durable(): then it is on disk under
/// its name, and sealed. Before that a crash leaves nothing that the next start does not take away.
class LargeMail {
 public:
  class Listener {
   public:
    /// has_room() again.
    virtual void large_mail_has_room() = 0;
    /// The last call. Its only block holds the message; its file is the caller's to hand to the
    /// Spool.
    virtual void large_mail_durable(const std::shared_ptr<const MailSegment>& segment) = 0;
    /// The last call: the disk refuses, and what was written is being taken away.
    virtual void large_mail_refused(const Error& error) = 0;

   protected:
    ~Listener() = default;
  };

  static constexpr size_t room_bytes = 2 * content_piece_bytes;

  /// `spool`: its folder, with `mail/` in it. `sequence`: of the run;
  /// `mail_class`: see MailName. Calls come from later turns.
  LargeMail(io::Proactor& proactor, const std::string& spool, unsigned shard, uint64_t sequence,
            Listener& listener, uint8_t mail_class = 0);
  LargeMail(const LargeMail&) = delete;
  LargeMail& operator=(const LargeMail&) = delete;
  /// Waits for what is in flight; the listener's calls do not come. A message that was not told to
  /// be durable may be there or not.
  ~LargeMail();

  void append(std::string_view octets);
  /// Append no more for now when there is none.
  bool has_room() const { return pending_.size() < room_bytes; }
  size_t pending_bytes() const { return pending_.size(); }
  uint64_t content_bytes() const { return content_bytes_; }
  /// All of the content was appended, at least one octet. `mail.content` is empty; the rest is
  /// copied.
  void finish(const NewMail& mail, io::WallTime accepted_at);
  /// Instead of finish(): it will not come. No call follows.
  void abandon();
  /// Nothing is in flight and nothing will be: may be destroyed without a wait.
  bool is_over() const { return step_ == Step::over; }

 private:
  enum class Step : uint8_t {
    open,
    content,
    tail,
    truncate,
    datasync,
    rename,
    sync,
    unlink,
    close,
    over
  };

  template <class Operation>
  void submit(Step step, Operation& operation);
  void done(io::Op&, const io::Completion& completion);
  void go_on();
  void write_content();
  void write_tail();
  void submit_write(Step step, size_t bytes);
  void clean_up();
  void fail(int32_t result);

  io::Proactor& proactor_;
  Listener* listener_;
  const std::string folder_;
  const MailName name_;
  Step step_ = Step::open;
  bool is_busy_ = false;      // an operation is in flight
  bool is_finished_ = false;  // finish() was called
  bool is_given_up_ = false;
  bool can_reserve_ = true;
  std::string pending_;            // of the content: not in octets_ yet
  std::vector<std::byte> octets_;  // being written
  std::vector<std::byte> record_;  // of the message, once it is finished
  uint64_t content_bytes_ = 0, end_ = 0, reserved_ = 0;
  std::shared_ptr<MailSegment> segment_;
  io::Open open_;
  io::Allocate allocate_;
  io::Write write_;
  io::Truncate truncate_;
  io::Datasync datasync_;
  io::Rename rename_;
  io::SyncDirectory sync_directory_;
  io::Unlink unlink_;
  io::CloseFile close_;
};

/// The content of a large message, where it lies in the file of its segment: in pieces of
/// content_piece_bytes, but for the last.
struct LargeContent {
  io::File file;
  Salt salt;
  uint64_t bytes = 0;

  /// Where the record of the piece that begins at octet `at` of the content lies, and its octets;
  /// `at` is a multiple of content_piece_bytes below `bytes`.
  struct Place {
    uint64_t offset = 0;
    size_t bytes = 0;
  };
  Place place(uint64_t at) const;
  /// The piece that begins at `at`, from the octets of its place. nullopt when they are not what
  /// was written.
  std::optional<Bytes> decode(uint64_t at, Bytes record) const;
};

}  // namespace sluice::spool
