#include "spool/segment_reader.h"

#include <algorithm>

namespace sluice::spool {

size_t SegmentReader::read(Bytes window, bool is_last, const Visit& visit) {
  size_t at = 0;
  while (at < window.size()) {
    const Bytes rest = window.subspan(at);
    if (rest.size() < record_header_bytes && !is_last) break;
    std::optional<RecordHeader> header;
    if (rest.size() >= record_header_bytes) header = decode_record_header(rest, salt_);
    if (header && header->length > payload_limit_bytes_) header.reset();

    if (header) {
      const size_t whole = record_bytes(header->length),
                   needed = record_header_bytes + header->length;
      if (rest.size() < whole && !is_last) break;
      const Mark mark{header->number, header->type};
      if (rest.size() >= needed) {
        const Bytes payload = rest.subspan(record_header_bytes, header->length);
        const size_t taken = std::min(whole, rest.size());
        if (is_payload_sound(*header, payload, salt_)) {
          meet(mark);
          if (sound_commit_ < mark.number)
            sound_commit_ = mark.number, sound_commit_begin_ = offset_;
          visit(*header, payload);
          at += taken, offset_ += taken, sound_end_ = offset_, ++records_;
          searching_ = false;
          continue;
        }
        // Only a header in its due place is trusted without its payload.
        if (!searching_) {
          meet(mark);
          lose(taken, mark);
          at += taken, offset_ += taken;
          continue;
        }
      } else if (!searching_) {
        last_commit_ = std::max(last_commit_, mark.number);
      }
    }

    const size_t step = std::min(rest.size(), record_alignment);
    lose(step, std::nullopt);
    searching_ = true;
    at += step, offset_ += step;
  }
  return at;
}

void SegmentReader::lose(uint64_t bytes, std::optional<Mark> self) {
  if (searching_ && !self)
    stretches_.back().bytes += bytes;
  else
    stretches_.push_back({offset_, bytes, self, before_, std::nullopt});
  if (self) before_ = self;
}

void SegmentReader::meet(Mark mark) {
  if (searching_) stretches_.back().after = mark;
  before_ = mark;
  last_commit_ = std::max(last_commit_, mark.number);
}

// A commit begins only after the one before it was synced, so all commits but the last were
// acknowledged.
bool SegmentReader::is_torn(const Stretch& stretch) const {
  if (stretch.self) return stretch.self->number == last_commit_;
  if (!stretch.after) return true;
  const auto& [before, after] = std::pair(stretch.before, *stretch.after);
  const bool ends_in_last =
      after.number == last_commit_ &&
      (after.type == RecordType::commit_middle || after.type == RecordType::commit_last);
  if (!ends_in_last) return false;
  if (!before) return last_commit_ == 1;
  if (before->number == last_commit_) return true;
  const bool ended =
      before->type == RecordType::commit_full || before->type == RecordType::commit_last;
  return ended && before->number + 1 == last_commit_;
}

std::vector<SegmentReader::Lost> SegmentReader::lost() const {
  std::vector<Lost> all;
  for (const Stretch& s : stretches_)
    all.push_back({s.offset, s.bytes,
                   s.self ? "a record's payload does not match its checksum"
                          : "no record's header stands here",
                   is_torn(s)});
  return all;
}

}  // namespace sluice::spool
