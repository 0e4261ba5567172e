#include "spool/recovery.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "spool/disk_error.h"
#include "spool/journal_name.h"
#include "spool/outcome_record.h"
#include "spool/segment_reader.h"

namespace sluice::spool {
namespace {

constexpr size_t window_bytes = 1024 * 1024;
static_assert(window_bytes >= record_bytes(outcome_payload_bytes_max));
/// What the disk cannot read is passed over in pieces of this size.
constexpr size_t piece_bytes = 4096;

/// A segment on its way through recovery.
struct Found {
  JournalName name;
  std::string path;
  uint64_t bytes = 0;
  bool has_reserve = false;  // disk beyond its end, which a crash left
  bool is_header_damaged = false;
  bool is_unreadable = false;  // in places: that may pass, so nothing is cut
  uint64_t cut_at = UINT64_MAX;
  uint64_t doubtful_from = 0, doubtful_to = 0;  // taken, and perhaps in the page cache alone
};

/// A file while it is in scope.
class OpenFile {
 public:
  OpenFile(io::Proactor& proactor, const std::string& path, int flags) : proactor_(proactor) {
    open_.path = path;
    open_.flags = flags;
    result_ = io::run(proactor, open_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (result_ < 0) return;
    io::CloseFile close;
    close.file = open_.file;
    io::run(proactor_, close);
  }
  int32_t result() const { return result_; }
  io::File file() const { return open_.file; }

 private:
  io::Proactor& proactor_;
  io::Open open_;
  int32_t result_;
};

class Recovery {
 public:
  Recovery(io::Proactor& proactor, const std::string& spool, bool read_only)
      : proactor_(proactor),
        folder_(spool + "/journal"),
        read_only_(read_only),
        window_(std::make_unique_for_overwrite<std::byte[]>(window_bytes)) {}

  std::expected<Recovered, Error> run();

 private:
  std::expected<void, Error> find();
  std::expected<void, Error> look_at_header(Found& segment);
  std::expected<void, Error> read(Found& segment);
  std::expected<size_t, Error> fill(Found& segment, io::File file, uint64_t offset,
                                    std::span<std::byte> out);
  void take(const Found& segment, const RecordHeader& header, Bytes payload,
            std::unordered_set<uint64_t>& campaigns);
  std::expected<void, Error> settle(const Found& segment);
  std::expected<void, Error> write_again(const Found& segment, io::File file);

  io::Proactor& proactor_;
  const std::string folder_;
  const bool read_only_;
  const std::unique_ptr<std::byte[]> window_;
  std::vector<Found> segments_;
  Recovered recovered_;
};

std::expected<Recovered, Error> Recovery::run() {
  if (auto found = find(); !found) return std::unexpected(found.error());
  for (Found& segment : segments_)
    if (auto looked = look_at_header(segment); !looked) return std::unexpected(looked.error());
  for (Found& segment : segments_)
    if (auto done = read(segment); !done) return std::unexpected(done.error());
  if (read_only_ || segments_.empty()) return std::move(recovered_);
  for (const Found& segment : segments_)
    if (auto done = settle(segment); !done) return std::unexpected(done.error());
  io::SyncDirectory sync;
  sync.path = folder_;
  if (const int32_t result = io::run(proactor_, sync); result < 0)
    return std::unexpected(disk_error("sync the journal's folder", folder_, result));
  return std::move(recovered_);
}

std::expected<void, Error> Recovery::find() {
  io::ListDirectory list;
  list.path = folder_;
  const int32_t listed = io::run(proactor_, list);
  if (listed == -ENOENT) return {};
  if (listed < 0) return std::unexpected(disk_error("list the journal", folder_, listed));
  for (const std::string& text : list.names) {
    const std::string path = folder_ + "/" + text;
    const auto name = JournalName::parse(text);
    if (!name) {
      recovered_.damages.push_back(
          {path, 0, 0, "not named like a segment of the journal; left alone"});
      continue;
    }
    recovered_.next_sequence = std::max(recovered_.next_sequence, name->sequence + 1);
    segments_.push_back({.name = *name, .path = path});
  }
  return {};
}

std::expected<void, Error> Recovery::look_at_header(Found& segment) {
  io::Stat stat;
  stat.path = segment.path;
  if (const int32_t result = io::run(proactor_, stat); result < 0)
    return std::unexpected(disk_error("look at", segment.path, result));
  segment.bytes = stat.size;
  segment.has_reserve = stat.bytes_on_disk > stat.size + piece_bytes;

  const OpenFile open(proactor_, segment.path, O_RDONLY);
  if (open.result() < 0) return std::unexpected(disk_error("open", segment.path, open.result()));
  std::array<std::byte, file_header_bytes> octets{};
  if (auto filled = fill(segment, open.file(), 0, octets); !filled)
    return std::unexpected(filled.error());
  const auto header = decode_file_header(octets);
  if (!header && header.error() == FileHeaderFault::newer_version)
    return std::unexpected(Error{
        ErrorCode::newer_version, 0,
        fmt::format("{}: written by a newer Sluice; the spool is left untouched: upgrade this one",
                    segment.path)});
  segment.is_header_damaged =
      !header || header->kind != FileKind::journal || header->salt != segment.name.salt;
  return {};
}

std::expected<void, Error> Recovery::read(Found& segment) {
  const OpenFile open(proactor_, segment.path, O_RDONLY);
  if (open.result() < 0) return std::unexpected(disk_error("open", segment.path, open.result()));
  SegmentReader reader(segment.name.salt, outcome_payload_bytes_max);
  std::unordered_set<uint64_t> campaigns;
  const auto visit = [&](const RecordHeader& header, Bytes payload) {
    take(segment, header, payload, campaigns);
  };
  uint64_t offset = file_header_bytes;
  size_t held = 0;  // octets in the window not done with
  while (offset < segment.bytes) {
    const auto filled =
        fill(segment, open.file(), offset, std::span(window_.get(), window_bytes).subspan(held));
    if (!filled) return std::unexpected(filled.error());
    offset += *filled;
    if (*filled == 0) segment.bytes = offset;
    held += *filled;
    const size_t done = reader.read({window_.get(), held}, offset >= segment.bytes, visit);
    std::copy(window_.get() + done, window_.get() + held, window_.get());
    held -= done;
  }

  bool is_damaged = segment.is_unreadable;
  const bool is_torn_whole = segment.is_header_damaged && reader.records() == 0;
  for (const auto& lost : reader.lost()) {
    if (lost.is_torn) {
      recovered_.torn_bytes += lost.bytes;
      continue;
    }
    is_damaged = true;
    recovered_.damages.push_back({segment.path, lost.offset, lost.bytes, lost.reason});
  }
  if (is_torn_whole) {
    recovered_.torn_bytes += std::min<uint64_t>(segment.bytes, file_header_bytes);
  } else if (segment.is_header_damaged) {
    is_damaged = true;
    recovered_.damages.push_back(
        {segment.path, 0, file_header_bytes, "the file's header is damaged"});
  }
  const uint64_t end = is_torn_whole ? 0 : reader.sound_end();
  if (!is_damaged && end < segment.bytes)
    segment.cut_at = end;
  else if (segment.has_reserve)
    segment.cut_at = segment.bytes;
  if (!segment.is_unreadable) {
    // The file's header was written with the first commit.
    segment.doubtful_from = reader.sound_commit() <= 1 ? 0 : reader.sound_commit_begin();
    segment.doubtful_to = end;
  }
  recovered_.records += reader.records();
  recovered_.segments.push_back({segment.path,
                                 {campaigns.begin(), campaigns.end()},
                                 std::min(segment.cut_at, segment.bytes)});
  return {};
}

void Recovery::take(const Found& segment, const RecordHeader& header, Bytes payload,
                    std::unordered_set<uint64_t>& campaigns) {
  const bool is_commit = header.type >= RecordType::commit_middle;
  Progress* progress = nullptr;
  const bool is_understood = is_commit && visit_outcomes(payload, [&](const Outcome& outcome) {
                               if (!progress) {
                                 progress = &recovered_.campaigns[outcome.campaign];
                                 campaigns.insert(outcome.campaign);
                               }
                               progress->apply(outcome);
                             });
  if (!is_understood)
    recovered_.damages.push_back(
        {segment.path, 0, payload.size(), "a record that this version does not understand"});
}

/// Reads as much of `out` as the file has; octets that the disk refuses are zeros, which no record
/// begins with.
std::expected<size_t, Error> Recovery::fill(Found& segment, io::File file, uint64_t offset,
                                            std::span<std::byte> out) {
  const auto read = [&](uint64_t at, std::span<std::byte> bytes) {
    io::Read op;
    op.file = file;
    op.offset = at;
    op.bytes = bytes;
    return io::run(proactor_, op);
  };
  out = out.first(std::min<uint64_t>(out.size(), segment.bytes - std::min(segment.bytes, offset)));
  if (out.empty()) return 0;
  const int32_t result = read(offset, out);
  if (result >= 0) return static_cast<size_t>(result);
  if (result != -EIO && result != -EUCLEAN && result != -EBADMSG)
    return std::unexpected(disk_error("read", segment.path, result));
  for (size_t at = 0; at < out.size(); at += piece_bytes) {
    const std::span<std::byte> piece = out.subspan(at, std::min(piece_bytes, out.size() - at));
    if (read(offset + at, piece) >= 0) continue;
    std::ranges::fill(piece, std::byte{});
    segment.is_unreadable = true;
    recovered_.damages.push_back(
        {segment.path, offset + at, piece.size(), "the disk cannot read it"});
  }
  return out.size();
}

/// Cuts the torn tail, and makes durable what was taken: a kill may have left the last commit in
/// the page cache alone, and a loss of power could take it after it was counted.
std::expected<void, Error> Recovery::settle(const Found& segment) {
  const OpenFile open(proactor_, segment.path, O_RDWR);
  if (open.result() < 0) return std::unexpected(disk_error("open", segment.path, open.result()));
  io::Truncate truncate;
  truncate.file = open.file();
  truncate.size = segment.cut_at;
  if (segment.cut_at != UINT64_MAX)
    if (const int32_t result = io::run(proactor_, truncate); result < 0)
      return std::unexpected(disk_error("cut the torn tail", segment.path, result));
  if (auto written = write_again(segment, open.file()); !written) return written;
  io::Datasync datasync;
  datasync.file = open.file();
  if (const int32_t result = io::run(proactor_, datasync); result < 0)
    return std::unexpected(disk_error("sync", segment.path, result));
  return {};
}

/// A sync that failed before the kill took the pages for written: only new writes are synced.
std::expected<void, Error> Recovery::write_again(const Found& segment, io::File file) {
  io::Read read;
  io::Write write;
  read.file = write.file = file;
  for (uint64_t at = segment.doubtful_from; at < segment.doubtful_to;) {
    const size_t wanted = std::min<uint64_t>(window_bytes, segment.doubtful_to - at);
    read.offset = write.offset = at;
    read.bytes = {window_.get(), wanted};
    const int32_t result = io::run(proactor_, read);
    if (result <= 0)
      return std::unexpected(disk_error("read", segment.path, result < 0 ? result : -EIO));
    write.bytes = {window_.get(), static_cast<size_t>(result)};
    if (const int32_t written = io::run(proactor_, write); written < 0)
      return std::unexpected(disk_error("write", segment.path, written));
    at += static_cast<uint64_t>(result);
  }
  return {};
}

}  // namespace

std::vector<uint64_t> Progress::tried() const {
  std::vector<uint64_t> tried = fates;
  tried.resize(std::max(fates.size(), deferred.words()));
  for (size_t word = 0; word < deferred.words(); ++word) tried[word] |= deferred.present(word);
  return tried;
}

void Progress::defer(const Outcome& outcome) {
  Deferral best{.recipient = outcome.recipient,
                .attempt = outcome.attempt,
                .refusals = outcome.refusals,
                .transfers = outcome.transfers,
                .was_told = outcome.was_told,
                .is_intent = outcome.kind == OutcomeKind::intent,
                .next_attempt = outcome.next_attempt};
  // What an attempt came to beats the intent that went before it.
  const auto rank = [](const Deferral& d) {
    return std::tuple(d.attempt, !d.is_intent, d.next_attempt);
  };
  if (const auto known = deferred.find(outcome.recipient); known != deferred.end()) {
    const bool was_told = best.was_told || known->second.was_told;
    if (!(rank(known->second) < rank(best))) best = known->second;
    best.was_told = was_told;
  }
  deferred.put(best);
}

void Progress::apply(const Outcome& outcome) {
  if (outcome.kind == OutcomeKind::waited)
    return void(waits.push_back({.recipient = outcome.recipient,
                                 .attempts = outcome.attempt,
                                 .refusals = outcome.refusals,
                                 .at = outcome.at,
                                 .next_attempt = outcome.next_attempt}));
  if (has_fate(outcome.recipient)) return;
  if (outcome.kind == OutcomeKind::deferred || outcome.kind == OutcomeKind::intent)
    return defer(outcome);
  const size_t word = outcome.recipient / 64;
  if (word >= fates.size()) fates.resize(word + 1);
  fates[word] |= uint64_t{1} << outcome.recipient % 64;
  deferred.erase(outcome.recipient);
  switch (outcome.kind) {
    case OutcomeKind::deferred:
    case OutcomeKind::intent:
    case OutcomeKind::waited:    break;
    case OutcomeKind::delivered: ++delivered; break;
    case OutcomeKind::failed:    ++failed; break;
    case OutcomeKind::expired:   ++expired; break;
    case OutcomeKind::cancelled: ++cancelled; break;
    case OutcomeKind::in_doubt:  ++in_doubt; break;
  }
}

std::expected<Recovered, Error> recover_journal(io::Proactor& proactor, const std::string& spool,
                                                bool read_only) {
  return Recovery(proactor, spool, read_only).run();
}

}  // namespace sluice::spool
