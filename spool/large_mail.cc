#include "spool/large_mail.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/check.h"
#include "spool/disk_error.h"
#include "spool/little_endian.h"
#include "spool/mail_index.h"
#include "spool/segment_writer.h"

namespace sluice::spool {
namespace {

constexpr uint64_t reserve_step_bytes = 4 * 1024 * 1024;
/// All of the content is of one commit, the file's first.
constexpr uint32_t content_commit = file_header_bytes / record_alignment;

}  // namespace

LargeMail::LargeMail(io::Proactor& proactor, const std::string& spool, unsigned shard,
                     uint64_t sequence, Listener& listener, uint8_t mail_class)
    : proactor_(proactor),
      listener_(&listener),
      folder_(fmt::format("{}/{}", spool, mail_folder)),
      name_{sequence, shard, proactor.random(), Salt::from(proactor.random()), mail_class} {
  open_.path = fmt::format("{}/{}{}", folder_, incoming_mail_prefix, name_.text());
  open_.flags = O_RDWR | O_CREAT | O_EXCL;
  rename_.from = unlink_.path = open_.path;
  rename_.to = folder_ + "/" + name_.text();
  rename_.keep_existing = true;
  sync_directory_.path = folder_;
  for (io::Op* op : {static_cast<io::Op*>(&open_), static_cast<io::Op*>(&allocate_),
                     static_cast<io::Op*>(&write_), static_cast<io::Op*>(&truncate_),
                     static_cast<io::Op*>(&datasync_), static_cast<io::Op*>(&rename_),
                     static_cast<io::Op*>(&sync_directory_), static_cast<io::Op*>(&unlink_),
                     static_cast<io::Op*>(&close_)}) {
    op->owner = this;
    op->callback = [](void* self, io::Op& one, const io::Completion& completion) {
      static_cast<LargeMail*>(self)->done(one, completion);
    };
  }
  octets_.resize(file_header_bytes);
  encode_file_header(octets_, {FileKind::mail, name_.salt});
  submit(Step::open, open_);
}

LargeMail::~LargeMail() {
  listener_ = nullptr;
  if (!is_finished_) abandon();
  while (!is_over()) proactor_.wait(io::never, 64);
}

template <class Operation>
void LargeMail::submit(Step step, Operation& operation) {
  step_ = step;
  is_busy_ = true;
  proactor_.submit(operation);
}

void LargeMail::append(std::string_view octets) {
  CHECK(!is_finished_);
  pending_ += octets;
  content_bytes_ += octets.size();
  if (!is_busy_) go_on();
}

void LargeMail::finish(const NewMail& mail, io::WallTime accepted_at) {
  CHECK(!is_finished_ && content_bytes_ > 0 && mail.content.empty());
  is_finished_ = true;
  std::array<std::byte, 8> length;
  store(std::span<std::byte>(length), 0, content_bytes_);
  const Bytes content(length);
  NewMail with_length = mail;
  with_length.content = std::span(&content, 1);
  encode_mail(record_, with_length, accepted_at);
  if (!is_busy_) go_on();
}

void LargeMail::abandon() {
  is_given_up_ = true;
  listener_ = nullptr;
  pending_ = {};
  if (!is_busy_ && !is_over()) clean_up();
}

/// The chain: open; for the content and then the tail allocate, now and then, and write; truncate
/// what was reserved beyond the end; datasync, rename, sync_directory.
void LargeMail::done(io::Op& op, const io::Completion& completion) {
  is_busy_ = false;
  const int32_t result = completion.result;
  if (&op == &close_) {
    step_ = Step::over;
    return;
  }
  if (&op == &unlink_) return submit(Step::close, close_);
  if (&op == &open_) {
    if (result < 0) {
      step_ = Step::over;
      return fail(result);
    }
    allocate_.file = write_.file = truncate_.file = datasync_.file = close_.file = open_.file;
    step_ = Step::content;
  }
  if (&op == &rename_ && result >= 0) unlink_.path = rename_.to;
  if (is_given_up_) return clean_up();
  if (&op == &allocate_) {
    if (result == -ENOSPC || result == -EDQUOT) return fail(result);
    can_reserve_ = result >= 0;
    if (can_reserve_) reserved_ = allocate_.offset + allocate_.length;
    return submit(step_, write_);
  }
  if (result < 0) return fail(result);
  go_on();
  if (&op == &write_ && listener_ && !is_finished_ && has_room()) listener_->large_mail_has_room();
}

void LargeMail::go_on() {
  switch (step_) {
    case Step::content:
      if (!write_.bytes.empty()) {
        end_ += std::exchange(write_.bytes, {}).size();
        octets_.clear();
      }
      if (pending_.size() >= content_piece_bytes || (is_finished_ && !pending_.empty()))
        write_content();
      else if (is_finished_)
        write_tail();
      return;
    case Step::tail:     truncate_.size = segment_->bytes(); return submit(Step::truncate, truncate_);
    case Step::truncate: return submit(Step::datasync, datasync_);
    case Step::datasync: return submit(Step::rename, rename_);
    case Step::rename:   return submit(Step::sync, sync_directory_);
    case Step::sync:
      step_ = Step::over;
      segment_->seal();
      if (listener_) return listener_->large_mail_durable(segment_);
      return submit(Step::close, close_);
    case Step::open:
    case Step::unlink:
    case Step::close:
    case Step::over:   break;
  }
}

/// Whole pieces, and the last one when it is known to be.
void LargeMail::write_content() {
  SegmentWriter writer(octets_, name_.salt);
  size_t at = 0;
  while (at < pending_.size() && at < room_bytes) {
    const std::string_view piece = std::string_view(pending_).substr(at, content_piece_bytes);
    if (piece.size() < content_piece_bytes && !is_finished_) break;
    writer.record(RecordType::content, content_commit, std::as_bytes(std::span(piece)));
    at += piece.size();
  }
  pending_.erase(0, at);
  submit_write(Step::content, octets_.size());
}

void LargeMail::write_tail() {
  segment_ = std::make_shared<MailSegment>(name_, rename_.to, open_.file);
  seal_mail(
      record_, name_.salt, end_, 0,
      [this](uint64_t offset, size_t bytes, const Mail& message) {
        segment_->add(offset, static_cast<uint32_t>(bytes), message);
      },
      RecordType::large_mail);
  octets_ = std::exchange(record_, {});
  segment_->publish(end_ + octets_.size());
  const std::vector<std::byte> index = encode_mail_index(*segment_, name_.salt);
  octets_.insert(octets_.end(), index.begin(), index.end());
  segment_->publish(end_ + octets_.size());
  submit_write(Step::tail, octets_.size());
}

void LargeMail::submit_write(Step step, size_t bytes) {
  write_.offset = end_;
  write_.bytes = octets_;
  const uint64_t wanted = end_ + bytes;
  if (wanted <= reserved_ || !can_reserve_) return submit(step, write_);
  allocate_.offset = reserved_;
  allocate_.length =
      (wanted - reserved_ + reserve_step_bytes - 1) / reserve_step_bytes * reserve_step_bytes;
  submit(step, allocate_);
}

void LargeMail::clean_up() { submit(Step::unlink, unlink_); }

void LargeMail::fail(int32_t result) {
  Listener* const listener = std::exchange(listener_, nullptr);
  abandon();
  if (listener) listener->large_mail_refused(disk_error("keep a large message", folder_, result));
}

LargeContent::Place LargeContent::place(uint64_t at) const {
  const uint64_t piece = at / content_piece_bytes;
  return {.offset = file_header_bytes + piece * record_bytes(content_piece_bytes),
          .bytes = record_bytes(std::min<uint64_t>(content_piece_bytes, bytes - at))};
}

std::optional<Bytes> LargeContent::decode(uint64_t at, Bytes record) const {
  const uint64_t length = std::min<uint64_t>(content_piece_bytes, bytes - at);
  if (record.size() != record_bytes(length)) return std::nullopt;
  const auto header = decode_record_header(record, salt);
  if (!header || header->type != RecordType::content || header->length != length)
    return std::nullopt;
  const Bytes payload = record.subspan(record_header_bytes, length);
  if (!is_payload_sound(*header, payload, salt)) return std::nullopt;
  return payload;
}

}  // namespace sluice::spool
