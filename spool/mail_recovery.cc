#include "spool/mail_recovery.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "spool/disk_error.h"
#include "spool/mail_index.h"
#include "spool/mail_name.h"
#include "spool/mail_record.h"
#include "spool/segment_reader.h"

namespace sluice::spool {
namespace {

constexpr size_t window_bytes = 2 * 1024 * 1024;
static_assert(window_bytes >= mail_record_bytes_max);
/// A file's disk may be this much more than its octets without a reserve behind them.
constexpr size_t slack_bytes = 4096;
/// The number of a segment's first commit.
constexpr uint32_t first_commit = file_header_bytes / record_alignment;

/// A segment on its way through recovery.
struct Found {
  MailName name;
  std::string path;
  uint64_t bytes = 0;
  bool has_reserve = false;  // disk beyond its end, which a crash left
  bool is_header_damaged = false;
  bool is_large = false;       // a message of its own: content comes first
  bool is_unreadable = false;  // in places: that may pass, so nothing is cut
};

class MailRecovery {
 public:
  MailRecovery(io::Proactor& proactor, const std::string& spool, bool read_only)
      : proactor_(proactor),
        folder_(fmt::format("{}/{}", spool, mail_folder)),
        read_only_(read_only) {}

  /// Finds the segments and reads their headers.
  std::expected<void, Error> look();
  std::expected<RecoveredMail, Error> run();

 private:
  std::expected<void, Error> find();
  std::expected<void, Error> look_at_header(Found& found);
  std::expected<void, Error> open(Found& found);
  bool read_index(const Found& found, RecoveryFile& file, MailSegment& segment);
  std::expected<Settlement, Error> read_messages(Found& found, RecoveryFile& file,
                                                 MailSegment& segment);
  struct Taken {
    uint64_t recipients = 0;
    uint64_t end = file_header_bytes;  // of the last message
  };
  void take(const Found& found, uint64_t offset, const RecordHeader& header, Bytes payload,
            MailSegment& segment, Taken& taken);
  void judge(const Found& found, const SegmentReader& reader);
  void damage(const Found& found, uint64_t offset, uint64_t bytes, const char* reason) {
    recovered_.damages.push_back({found.path, offset, bytes, reason});
  }
  /// Or at the next start.
  void remove(const std::string& path) {
    io::Unlink unlink;
    unlink.path = path;
    io::run(proactor_, unlink);
  }
  void close_all();
  /// An engine unlinks what is done, while others look.
  bool has_gone(const Error& error) const { return read_only_ && error.code == ErrorCode::missing; }

  io::Proactor& proactor_;
  const std::string folder_;
  const bool read_only_;
  std::vector<std::byte> window_;
  std::vector<Found> found_;
  RecoveredMail recovered_;
};

std::expected<void, Error> MailRecovery::look() {
  if (auto found = find(); !found) return found;
  for (auto found = found_.begin(); found != found_.end();) {
    auto looked = look_at_header(*found);
    if (!looked && !has_gone(looked.error())) return looked;
    found = looked ? std::next(found) : found_.erase(found);
  }
  return {};
}

std::expected<RecoveredMail, Error> MailRecovery::run() {
  if (auto looked = look(); !looked) return std::unexpected(looked.error());
  for (Found& found : found_)
    if (auto opened = open(found); !opened && !has_gone(opened.error())) {
      close_all();
      return std::unexpected(opened.error());
    }
  if (read_only_ || found_.empty()) return std::move(recovered_);
  io::SyncDirectory sync;
  sync.path = folder_;
  if (const int32_t result = io::run(proactor_, sync); result < 0) {
    close_all();
    return std::unexpected(disk_error("sync the folder of mail", folder_, result));
  }
  return std::move(recovered_);
}

void MailRecovery::close_all() {
  for (const auto& segment : recovered_.segments) {
    io::CloseFile close;
    close.file = segment->file();
    io::run(proactor_, close);
  }
}

std::expected<void, Error> MailRecovery::find() {
  io::ListDirectory list;
  list.path = folder_;
  const int32_t listed = io::run(proactor_, list);
  if (listed == -ENOENT) return {};
  if (listed < 0) return std::unexpected(disk_error("list the mail", folder_, listed));
  for (const std::string& text : list.names) {
    const std::string path = folder_ + "/" + text;
    if (text.starts_with(incoming_mail_prefix)) {
      if (!read_only_) remove(path);
      continue;
    }
    const auto name = MailName::parse(text);
    if (!name) {
      recovered_.damages.push_back({path, 0, 0, "not named like a segment of mail; left alone"});
      continue;
    }
    recovered_.next_sequence = std::max(recovered_.next_sequence, name->sequence + 1);
    found_.push_back({.name = *name, .path = path});
  }
  return {};
}

std::expected<void, Error> MailRecovery::look_at_header(Found& found) {
  io::Stat stat;
  stat.path = found.path;
  if (const int32_t result = io::run(proactor_, stat); result < 0)
    return std::unexpected(disk_error("look at", found.path, result));
  found.bytes = stat.size;
  found.has_reserve = stat.bytes_on_disk > stat.size + slack_bytes;

  RecoveryFile file(proactor_, found.path, O_RDONLY);
  if (file.result() < 0) return std::unexpected(disk_error("open", found.path, file.result()));
  std::array<std::byte, file_header_bytes + record_header_bytes> octets{};
  const auto filled = file.fill(found.bytes, 0, octets, recovered_.damages);
  if (!filled) return std::unexpected(filled.error());
  found.is_unreadable = file.is_unreadable();
  const auto header = decode_file_header(std::span(octets).first(*filled));
  const auto first =
      decode_record_header(std::span(octets).subspan(file_header_bytes), found.name.salt);
  found.is_large = first && first->type == RecordType::content;
  if (!header && header.error() == FileHeaderFault::newer_version)
    return std::unexpected(Error{
        ErrorCode::newer_version, 0,
        fmt::format("{}: written by a newer Sluice; the spool is left untouched: upgrade this one",
                    found.path)});
  found.is_header_damaged =
      !header || header->kind != FileKind::mail || header->salt != found.name.salt;
  return {};
}

std::expected<void, Error> MailRecovery::open(Found& found) {
  RecoveryFile file(proactor_, found.path, read_only_ ? O_RDONLY : O_RDWR);
  if (file.result() < 0) return std::unexpected(disk_error("open", found.path, file.result()));
  const auto segment = std::make_shared<MailSegment>(found.name, found.path, file.file());
  Settlement settlement{.cut_at = found.has_reserve ? found.bytes : UINT64_MAX};
  bool is_settled = !found.has_reserve;
  if (!read_index(found, file, *segment)) {
    auto read = read_messages(found, file, *segment);
    if (!read) return std::unexpected(read.error());
    settlement = *read;
    is_settled = false;
  }
  if (segment->blocks() == 0) {
    if (settlement.cut_at != 0 || read_only_) return {};
    remove(found.path);
    return {};
  }
  if (!is_settled && !read_only_)
    if (auto settled = file.settle(settlement, window_); !settled) return settled;
  segment->seal();
  recovered_.segments.push_back(segment);
  file.release();
  return {};
}

/// What cannot be read here is found damaged when the messages are read.
bool MailRecovery::read_index(const Found& found, RecoveryFile& file, MailSegment& segment) {
  std::vector<Damage> passed_over;
  std::array<std::byte, mail_index_trailer_bytes> trailer{};
  if (found.bytes < trailer.size()) return false;
  const auto filled = file.fill(found.bytes, found.bytes - trailer.size(), trailer, passed_over);
  const uint64_t bytes = filled ? mail_index_record_bytes(trailer, found.bytes) : 0;
  if (bytes == 0) return false;
  std::vector<std::byte> record(bytes);
  const uint64_t offset = found.bytes - bytes;
  const auto read = file.fill(found.bytes, offset, record, passed_over);
  return read && *read == bytes && read_mail_index(record, offset, found.name.salt, segment);
}

/// A message: its block and its recipients, and a block that is not sound for those who are missing
/// before it.
void MailRecovery::take(const Found& found, uint64_t offset, const RecordHeader& header,
                        Bytes payload, MailSegment& segment, Taken& taken) {
  if (header.type == RecordType::mail_index) return;  // of which something is wrong
  if (header.type == RecordType::content) return;     // of the message behind it
  const uint64_t end = offset + record_bytes(header.length);
  // The file ends in its padding: the write was not done.
  if (end > found.bytes) return void(recovered_.torn_bytes += found.bytes - offset);
  const auto mail = decode_mail_payload(header.type, payload);
  if (!mail || mail->first < taken.recipients)
    return damage(found, offset, payload.size(), "a record that this version does not understand");
  const auto missing = static_cast<uint32_t>(mail->first - taken.recipients);
  taken = {.recipients = uint64_t{mail->first} + mail->count, .end = end};
  if (missing > 0) {
    segment.add_message({.offset = offset,
                         .bytes = record_header_bytes,
                         .recipients = missing,
                         .accepted_at = mail->accepted_at});
    mail->visit_recipients([&](uint32_t number, const MailRecipient& recipient) {
      if (number == mail->first) segment.add_recipients(recipient.group, mail->sender, missing);
    });
  }
  segment.add(offset, static_cast<uint32_t>(end - offset), *mail);
}

std::expected<Settlement, Error> MailRecovery::read_messages(Found& found, RecoveryFile& file,
                                                             MailSegment& segment) {
  window_.resize(window_bytes);
  SegmentReader reader(found.name.salt, mail_bytes_max);
  Taken taken;
  const size_t damages_before = recovered_.damages.size();
  // Behind the messages there is at most an index of which something is wrong.
  uint64_t end = found.is_large ? found.bytes : std::min(found.bytes, mail_segment_bytes_max);
  const auto visit = [&](const RecordHeader& header, Bytes payload) {
    take(found, reader.offset(), header, payload, segment, taken);
  };
  if (auto read = file.read(reader, end, window_, recovered_.damages, visit); !read)
    return std::unexpected(read.error());
  found.is_unreadable |= file.is_unreadable();
  judge(found, reader);

  Settlement settlement;
  if (found.is_unreadable || recovered_.damages.size() > damages_before) {
    if (found.has_reserve) settlement.cut_at = found.bytes;
  } else {
    settlement.cut_at = taken.recipients == 0 ? 0 : taken.end;
  }
  if (!found.is_unreadable) {
    // The file's header was written with the first commit.
    settlement.doubtful_from =
        reader.sound_commit() <= first_commit ? 0 : reader.sound_commit_begin();
    settlement.doubtful_to = taken.end;
  }
  if (taken.recipients > 0) segment.publish(std::min(settlement.cut_at, found.bytes));
  return settlement;
}

/// FORMAT.md section 7.3: what lies before the last commit was acknowledged.
void MailRecovery::judge(const Found& found, const SegmentReader& reader) {
  const uint64_t acknowledged = uint64_t{reader.last_commit()} * record_alignment;
  if (found.is_header_damaged && reader.last_commit() > first_commit)
    damage(found, 0, file_header_bytes, "the file's header is damaged");
  for (const auto& lost : reader.lost()) {
    const uint64_t end = lost.offset + lost.bytes;
    const uint64_t torn_from = std::clamp(acknowledged, lost.offset, end);
    if (torn_from > lost.offset) damage(found, lost.offset, torn_from - lost.offset, lost.reason);
    recovered_.torn_bytes += end - torn_from;
  }
}

}  // namespace

std::expected<void, Error> check_mail_versions(io::Proactor& proactor, const std::string& spool) {
  return MailRecovery(proactor, spool, true).look();
}

std::expected<RecoveredMail, Error> recover_mail(io::Proactor& proactor, const std::string& spool,
                                                 bool read_only) {
  return MailRecovery(proactor, spool, read_only).run();
}

}  // namespace sluice::spool
