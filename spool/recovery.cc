#include "spool/recovery.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
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
/// A file's disk may be this much more than its octets without a reserve behind them.
constexpr size_t slack_bytes = 4096;

/// A segment on its way through recovery.
struct Found {
  JournalName name;
  std::string path;
  uint64_t bytes = 0;
  bool has_reserve = false;  // disk beyond its end, which a crash left
  bool is_header_damaged = false;
  bool is_unreadable = false;  // in places: that may pass, so nothing is cut
  Settlement settlement;
};

class Recovery {
 public:
  Recovery(io::Proactor& proactor, const std::string& spool, bool read_only)
      : proactor_(proactor),
        folder_(spool + "/journal"),
        read_only_(read_only),
        window_(window_bytes) {}

  std::expected<Recovered, Error> run();

 private:
  std::expected<void, Error> find();
  std::expected<void, Error> look_at_header(Found& segment);
  std::expected<void, Error> read(Found& segment);
  void take(const Found& segment, const RecordHeader& header, Bytes payload,
            std::unordered_set<uint64_t>& campaigns);
  std::expected<void, Error> settle(const Found& segment);

  io::Proactor& proactor_;
  const std::string folder_;
  const bool read_only_;
  std::vector<std::byte> window_;
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
  segment.has_reserve = stat.bytes_on_disk > stat.size + slack_bytes;

  RecoveryFile file(proactor_, segment.path, O_RDONLY);
  if (file.result() < 0) return std::unexpected(disk_error("open", segment.path, file.result()));
  std::array<std::byte, file_header_bytes> octets{};
  const auto filled = file.fill(segment.bytes, 0, octets, recovered_.damages);
  if (!filled) return std::unexpected(filled.error());
  segment.is_unreadable = file.is_unreadable();
  const auto header = decode_file_header(std::span(octets).first(*filled));
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
  RecoveryFile file(proactor_, segment.path, O_RDONLY);
  if (file.result() < 0) return std::unexpected(disk_error("open", segment.path, file.result()));
  SegmentReader reader(segment.name.salt, outcome_payload_bytes_max);
  std::unordered_set<uint64_t> campaigns;
  const auto visit = [&](const RecordHeader& header, Bytes payload) {
    take(segment, header, payload, campaigns);
  };
  if (auto done = file.read(reader, segment.bytes, window_, recovered_.damages, visit); !done)
    return done;
  segment.is_unreadable |= file.is_unreadable();

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
    segment.settlement.cut_at = end;
  else if (segment.has_reserve)
    segment.settlement.cut_at = segment.bytes;
  if (!segment.is_unreadable) {
    // The file's header was written with the first commit.
    segment.settlement.doubtful_from = reader.sound_commit() <= 1 ? 0 : reader.sound_commit_begin();
    segment.settlement.doubtful_to = end;
  }
  recovered_.records += reader.records();
  recovered_.segments.push_back({segment.path,
                                 {campaigns.begin(), campaigns.end()},
                                 std::min(segment.settlement.cut_at, segment.bytes)});
  return {};
}

void Recovery::take(const Found& segment, const RecordHeader& header, Bytes payload,
                    std::unordered_set<uint64_t>& campaigns) {
  const bool is_commit =
      header.type >= RecordType::commit_middle && header.type <= RecordType::commit_full;
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

std::expected<void, Error> Recovery::settle(const Found& segment) {
  RecoveryFile file(proactor_, segment.path, O_RDWR);
  if (file.result() < 0) return std::unexpected(disk_error("open", segment.path, file.result()));
  return file.settle(segment.settlement, window_);
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
