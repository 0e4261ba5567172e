#include "spool/mail_writer.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "io/check.h"
#include "spool/disk_error.h"

namespace sluice::spool {
namespace {

constexpr uint64_t reserve_step_bytes = 4 * 1024 * 1024;
constexpr io::Duration segment_age_max = std::chrono::hours(1);
constexpr io::Duration retry_interval = std::chrono::seconds(1);

}  // namespace

// A commit is one chain of operations: open (a new segment), allocate (now and then), write
// (durable), sync_directory (a new segment). Each continues the chain in its completion.

MailWriter::MailWriter(io::EventLoop& loop, const std::string& spool, unsigned shard,
                       uint64_t sequence, Listener& listener, uint8_t mail_class)
    : loop_(loop),
      proactor_(loop.proactor()),
      listener_(&listener),
      folder_(fmt::format("{}/{}", spool, mail_folder)),
      shard_(shard),
      mail_class_(mail_class),
      sequence_(sequence),
      sealer_(loop.proactor(), [this](const std::shared_ptr<MailSegment>& segment) {
        if (listener_) listener_->mail_sealed(segment);
      }) {
  retry_timer_.bind<&MailWriter::retry>(this);
  open_.bind<&MailWriter::opened>(this);
  allocate_.bind<&MailWriter::allocated>(this);
  write_.bind<&MailWriter::written>(this);
  write_.is_durable = true;
  sync_directory_.path = folder_;
  sync_directory_.bind<&MailWriter::directory_synced>(this);
}

MailWriter::~MailWriter() {
  listener_ = nullptr;
  if (retry_timer_.is_armed()) loop_.timers().cancel(retry_timer_);
  while (is_busy_) proactor_.wait(io::never, 64);
  if (segment_) let_go(true);
}

std::optional<uint64_t> MailWriter::append(const NewMail& mail) {
  const size_t bytes = mail_payload_bytes(mail);
  CHECK(bytes <= mail_bytes_max);
  if (is_stalled_ || pending_.record_bytes() + record_bytes(bytes) > pending_bytes_max)
    return std::nullopt;
  encode_mail(pending_.octets, mail, loop_.wall());
  ++pending_.messages;
  return ++tickets_;
}

void MailWriter::commit() {
  if (is_busy_ || pending_.messages == 0) return;
  is_busy_ = true;
  std::swap(committing_, pending_);
  if (segment_ && is_full()) let_go(true);
  if (!segment_) return open_segment();
  reserve();
}

bool MailWriter::is_full() const {
  if (segment_->end + committing_.record_bytes() > mail_segment_bytes_max) return true;
  const MailSegment& mail = *segment_->mail;
  return mail.blocks() > 0 && loop_.wall() - mail.info().accepted_at >= segment_age_max;
}

void MailWriter::let_go(bool is_sound) {
  sealer_.seal(std::move(segment_->mail), segment_->salt, is_sound);
  segment_.reset();
}

void MailWriter::open_segment() {
  name_ = {sequence_++, shard_, proactor_.random(), Salt::from(proactor_.random()), mail_class_};
  open_.path = folder_ + "/" + name_.text();
  open_.flags = O_RDWR | O_CREAT | O_EXCL;
  proactor_.submit(open_);
}

void MailWriter::opened(io::Open&, const io::Completion& completion) {
  if (completion.result < 0) return failed("create a segment of mail", completion.result);
  segment_ = {.mail = std::make_shared<MailSegment>(name_, open_.path, open_.file),
              .salt = name_.salt};
  encode_file_header(committing_.octets, {FileKind::mail, name_.salt});
  reserve();
}

void MailWriter::reserve() {
  const uint64_t wanted = segment_->end + committing_.octets.size();
  if (wanted <= segment_->reserved || !segment_->can_reserve) return write();
  const uint64_t steps =
      (wanted - segment_->reserved + reserve_step_bytes - 1) / reserve_step_bytes;
  allocate_.file = segment_->mail->file();
  allocate_.offset = segment_->reserved;
  allocate_.length = steps * reserve_step_bytes;
  proactor_.submit(allocate_);
}

void MailWriter::allocated(io::Allocate&, const io::Completion& completion) {
  if (completion.result == -ENOSPC || completion.result == -EDQUOT)
    return failed("reserve space for mail", completion.result);
  if (completion.result < 0)
    segment_->can_reserve = false;
  else
    segment_->reserved = allocate_.offset + allocate_.length;
  write();
}

void MailWriter::write() {
  MailSegment& mail = *segment_->mail;
  const std::span<std::byte> octets = committing_.octets;
  const bool is_first = segment_->end == 0;
  const uint64_t records_at = is_first ? file_header_bytes : segment_->end;
  seal_mail(octets.subspan(file_header_bytes), segment_->salt, records_at, mail.recipients(),
            [&mail](uint64_t offset, size_t bytes, const Mail& message) {
              mail.add(offset, static_cast<uint32_t>(bytes), message);
            });
  write_.file = mail.file();
  write_.offset = segment_->end;
  write_.bytes = is_first ? octets : octets.subspan(file_header_bytes);
  proactor_.submit(write_);
}

void MailWriter::written(io::Write&, const io::Completion& completion) {
  if (completion.result < 0) return failed("write mail", completion.result);
  if (segment_->end > 0) return committed();
  proactor_.submit(sync_directory_);
}

void MailWriter::directory_synced(io::SyncDirectory&, const io::Completion& completion) {
  if (completion.result < 0) return failed("sync the folder of mail", completion.result);
  committed();
}

void MailWriter::committed() {
  const std::shared_ptr<MailSegment> mail = segment_->mail;
  const uint32_t first_block = mail->blocks(), count = committing_.messages;
  const uint64_t first_ticket = settled_ + 1;
  segment_->end += write_.bytes.size();
  settled_ += count;
  committing_.clear();
  is_busy_ = false;
  if (count > 0) mail->publish(segment_->end);
  const bool was_stalled = std::exchange(is_stalled_, false);
  if (listener_ && was_stalled) listener_->mail_resumed();
  if (listener_ && count > 0) listener_->mail_durable(first_ticket, count, mail, first_block);
}

/// What the segment's pages hold now is not known, and an error of a sync is told only once: it is
/// not written again (FORMAT.md section 7.2).
void MailWriter::failed(std::string_view what, int32_t result) {
  if (segment_) let_go(false);
  pending_.clear(), committing_.clear();
  settled_ = tickets_;
  is_busy_ = false;
  if (!listener_) return;
  loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
  if (!std::exchange(is_stalled_, true)) listener_->mail_stalled(disk_error(what, folder_, result));
}

/// A commit without messages, to a new segment.
void MailWriter::retry() {
  is_busy_ = true;
  open_segment();
}

}  // namespace sluice::spool
