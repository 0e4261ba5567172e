#include "spool/journal.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_set>
#include <utility>

#include "io/check.h"
#include "spool/disk_error.h"
#include "spool/journal_name.h"
#include "spool/outcome_record.h"
#include "spool/reclaimer.h"

namespace sluice::spool {
namespace {

constexpr uint64_t segment_bytes_max = 64 * 1024 * 1024;
constexpr uint64_t reserve_step_bytes = 256 * 1024;
/// More is reserved when less than this would be left: the fates of some 10,000 recipients.
constexpr uint64_t reserve_bytes_min = 128 * 1024;
constexpr io::Duration retry_interval = std::chrono::seconds(1);

/// The segment being written.
struct OpenSegment {
  std::string path;
  io::File file;
  Salt salt;
  uint64_t bytes = 0;                      // acknowledged
  uint64_t reserved = 0;                   // octets from the front that have their disk
  uint32_t commits = 0;                    // acknowledged
  bool can_reserve = true;                 // not every file system can
  std::unordered_set<uint64_t> campaigns;  // that acknowledged outcomes speak of, and that are live
};

/// A commit is one chain of operations: open (a new segment), allocate (now and then), write
/// (durable), sync_directory (a new segment). Each continues the chain in its completion.
class SegmentJournal final : public Journal {
 public:
  SegmentJournal(io::EventLoop& loop, const std::string& spool, unsigned shard, uint64_t sequence,
                 std::vector<SealedSegment> sealed, Listener& listener);
  ~SegmentJournal() override;

  uint64_t append(const Outcome& outcome) override {
    pending_.push_back(outcome);
    return ++appended_;
  }
  bool has_pending() const override { return !pending_.empty(); }
  bool is_committing() const override { return is_committing_; }
  bool is_stalled() const override { return is_stalled_; }
  uint64_t durable() const override { return durable_; }
  void commit() override;
  void campaign_finished(uint64_t uid) override;
  uint64_t bytes_on_disk() const override {
    return reclaimer_.bytes() + (segment_ ? segment_->bytes : 0);
  }

 private:
  void open_segment();
  void opened(io::Open&, const io::Completion& completion);
  void encode();
  void reserve();
  void allocate();
  void allocated(io::Allocate&, const io::Completion& completion);
  void write();
  void written(io::Write&, const io::Completion& completion);
  void directory_synced(io::SyncDirectory&, const io::Completion& completion);
  void committed();
  void failed(std::string_view what, int32_t result);
  void retry();
  void seal();
  void seal_if_idle();
  void tell(const std::optional<Error>& refusal);

  io::EventLoop& loop_;
  io::Proactor& proactor_;
  Listener* listener_;  // nullptr in the destructor
  const std::string folder_;
  const unsigned shard_;
  uint64_t sequence_;

  std::vector<Outcome> pending_;     // in no commit yet
  std::vector<Outcome> committing_;  // in the commit that runs, or to be tried again
  uint64_t appended_ = 0, durable_ = 0;
  bool is_committing_ = false;

  std::optional<OpenSegment> segment_;
  std::vector<std::byte> buffer_;  // of the commit that runs

  bool is_failing_ = false;               // the last commit did not succeed
  std::optional<Error> reserve_refusal_;  // disk could not be reserved
  bool is_stalled_ = false;               // as last told to the listener
  io::Timer retry_timer_;

  io::Open open_;
  io::Allocate allocate_;
  io::Write write_;
  io::SyncDirectory sync_directory_;
  Reclaimer reclaimer_;
};

SegmentJournal::SegmentJournal(io::EventLoop& loop, const std::string& spool, unsigned shard,
                               uint64_t sequence, std::vector<SealedSegment> sealed,
                               Listener& listener)
    : loop_(loop),
      proactor_(loop.proactor()),
      listener_(&listener),
      folder_(spool + "/journal"),
      shard_(shard),
      sequence_(sequence),
      reclaimer_(loop.proactor(), std::move(sealed)) {
  retry_timer_.bind<&SegmentJournal::retry>(this);
  open_.bind<&SegmentJournal::opened>(this);
  allocate_.bind<&SegmentJournal::allocated>(this);
  write_.bind<&SegmentJournal::written>(this);
  write_.is_durable = true;
  sync_directory_.path = folder_;
  sync_directory_.bind<&SegmentJournal::directory_synced>(this);
}

SegmentJournal::~SegmentJournal() {
  listener_ = nullptr;
  while (is_committing_) proactor_.wait(io::never, 64);
  if (segment_) seal();
}

void SegmentJournal::commit() {
  if (is_committing_ || is_failing_ || pending_.empty()) return;
  is_committing_ = true;
  committing_.swap(pending_);
  if (!segment_) return open_segment();
  encode();
  if (segment_->bytes + buffer_.size() > segment_bytes_max) {
    seal();
    return open_segment();
  }
  reserve();
}

void SegmentJournal::open_segment() {
  JournalName name{sequence_++, shard_, Salt::from(proactor_.random())};
  segment_.emplace();
  segment_->path = folder_ + "/" + name.text();
  segment_->salt = name.salt;
  open_.path = segment_->path;
  open_.flags = O_WRONLY | O_CREAT | O_EXCL;
  proactor_.submit(open_);
}

void SegmentJournal::opened(io::Open&, const io::Completion& completion) {
  if (completion.result < 0) {
    segment_.reset();
    return failed("create a segment of the journal", completion.result);
  }
  segment_->file = open_.file;
  encode();
  reserve();
}

void SegmentJournal::encode() {
  buffer_.clear();
  SegmentWriter writer(buffer_, segment_->salt);
  if (segment_->commits == 0) writer.file_header(FileKind::journal);
  // FORMAT.md aligns records from the file's start: file_header_bytes is a multiple of
  // record_alignment.
  encode_commit(writer, segment_->commits + 1, committing_);
}

void SegmentJournal::reserve() {
  const bool is_enough = segment_->bytes + buffer_.size() + reserve_bytes_min <= segment_->reserved;
  const bool was_refused = reserve_refusal_ && segment_->commits > 0;  // the timer asks again
  if (is_enough || was_refused || !segment_->can_reserve) return write();
  allocate();
}

void SegmentJournal::allocate() {
  const uint64_t wanted = segment_->bytes + buffer_.size() + reserve_bytes_min - segment_->reserved;
  allocate_.file = segment_->file;
  allocate_.offset = segment_->reserved;
  allocate_.length = (wanted + reserve_step_bytes - 1) / reserve_step_bytes * reserve_step_bytes;
  proactor_.submit(allocate_);
}

void SegmentJournal::allocated(io::Allocate&, const io::Completion& completion) {
  if (completion.result >= 0) {
    segment_->reserved = allocate_.offset + allocate_.length;
    reserve_refusal_.reset();
  } else if (completion.result == -ENOSPC || completion.result == -EDQUOT) {
    reserve_refusal_ = disk_error("reserve space for the journal", folder_, completion.result);
  } else {
    segment_->can_reserve = false;
    reserve_refusal_.reset();
  }
  if (!committing_.empty()) return write();
  is_committing_ = false;
  tell(reserve_refusal_);
  commit();
}

void SegmentJournal::write() {
  write_.file = segment_->file;
  write_.offset = segment_->bytes;
  write_.bytes = buffer_;
  proactor_.submit(write_);
}

void SegmentJournal::written(io::Write&, const io::Completion& completion) {
  if (completion.result < 0) return failed("write the journal", completion.result);
  if (segment_->commits > 0) return committed();
  proactor_.submit(sync_directory_);
}

void SegmentJournal::directory_synced(io::SyncDirectory&, const io::Completion& completion) {
  if (completion.result < 0) return failed("sync the journal's folder", completion.result);
  committed();
}

void SegmentJournal::committed() {
  segment_->bytes += buffer_.size();
  ++segment_->commits;
  for (size_t i = 0; i < committing_.size(); ++i)  // sorted by campaign
    if (i == 0 || committing_[i].campaign != committing_[i - 1].campaign)
      segment_->campaigns.insert(committing_[i].campaign);
  durable_ += committing_.size();
  committing_.clear();
  is_committing_ = false;
  is_failing_ = false;
  tell(reserve_refusal_);
  if (listener_) listener_->journal_committed(durable_);
  seal_if_idle();
}

/// What the segment's pages hold now is not known, and an error of a sync is told only once: it is
/// not written again (FORMAT.md section 5.2).
void SegmentJournal::failed(std::string_view what, int32_t result) {
  is_committing_ = false;
  is_failing_ = true;
  if (segment_) seal();
  tell(disk_error(what, folder_, result));
}

void SegmentJournal::retry() {
  if (is_committing_) return loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
  if (is_failing_) {
    is_failing_ = false;
    is_committing_ = true;
    committing_.insert(committing_.end(), pending_.begin(), pending_.end());
    pending_.clear();
    return open_segment();
  }
  if (!segment_) {  // what was reserved is given back; the next segment asks anew
    reserve_refusal_.reset();
    return tell(reserve_refusal_);
  }
  is_committing_ = true;
  buffer_.clear();
  allocate();
}

/// The segment as far as it is acknowledged goes to the reclaimer; one without anything
/// acknowledged goes altogether.
void SegmentJournal::seal() {
  reclaimer_.seal(
      segment_->file,
      {segment_->path, {segment_->campaigns.begin(), segment_->campaigns.end()}, segment_->bytes});
  segment_.reset();
}

void SegmentJournal::seal_if_idle() {
  if (segment_ && !is_committing_ && pending_.empty() && segment_->campaigns.empty()) seal();
}

void SegmentJournal::campaign_finished(uint64_t uid) {
  reclaimer_.campaign_finished(uid);
  if (!segment_) return;
  segment_->campaigns.erase(uid);
  seal_if_idle();
}

/// Tells the listener when the journal begins or ceases to be refused, and keeps trying meanwhile.
void SegmentJournal::tell(const std::optional<Error>& refusal) {
  if (!listener_) return;
  if (refusal) loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
  if (refusal.has_value() == is_stalled_) return;
  is_stalled_ = refusal.has_value();
  if (refusal)
    listener_->journal_stalled(*refusal);
  else
    listener_->journal_resumed();
}

}  // namespace

std::unique_ptr<Journal> Journal::create(io::EventLoop& loop, const std::string& spool,
                                         unsigned shard, uint64_t sequence,
                                         std::vector<SealedSegment> sealed, Listener& listener) {
  return std::make_unique<SegmentJournal>(loop, spool, shard, sequence, std::move(sealed),
                                          listener);
}

}  // namespace sluice::spool
