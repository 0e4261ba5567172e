#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "spool/record.h"

namespace sluice::spool {

/// Finds the records of a segment in its octets, given window by window, and judges what lies
/// between them in one of the journal (FORMAT.md section 5.3); one of mail is judged by who reads
/// it. Pure.
class SegmentReader {
 public:
  using Visit = std::function<void(const RecordHeader& header, Bytes payload)>;

  /// A record whose payload is longer than `payload_limit_bytes` is taken for damage. Offset: where
  /// the first window begins.
  SegmentReader(Salt salt, size_t payload_limit_bytes, uint64_t offset = file_header_bytes)
      : salt_(salt),
        payload_limit_bytes_(payload_limit_bytes),
        offset_(offset),
        sound_end_(offset) {}

  /// Visits the sound records that lie wholly in `window` and returns the octets done with; the
  /// next window begins there. A window of at least record_bytes(payload_limit_bytes) always gets
  /// on. With `is_last` all of it is done with.
  size_t read(Bytes window, bool is_last, const Visit& visit);

  /// A stretch without a sound record.
  struct Lost {
    uint64_t offset, bytes;
    const char* reason;
    bool is_torn;  // of the last commit, which was never acknowledged; else damage
  };
  /// After the last window: in the file's order.
  std::vector<Lost> lost() const;
  /// While visiting: where the record begins.
  uint64_t offset() const { return offset_; }
  /// The greatest number of a record whose header stands in its due place; 0: none.
  uint32_t last_commit() const { return last_commit_; }
  /// Behind the last sound record; what follows is a torn tail.
  uint64_t sound_end() const { return sound_end_; }
  /// Of the last commit with a sound record, number (0: none) and where the first of them begins.
  uint32_t sound_commit() const { return sound_commit_; }
  uint64_t sound_commit_begin() const { return sound_commit_begin_; }
  uint64_t records() const { return records_; }

 private:
  struct Mark {  // of a record whose header stands
    uint32_t number;
    RecordType type;
  };
  struct Stretch {
    uint64_t offset, bytes;
    std::optional<Mark> self;           // its header stands, its payload does not
    std::optional<Mark> before, after;  // the neighbours
  };
  void lose(uint64_t bytes, std::optional<Mark> self);
  void meet(Mark mark);
  bool is_torn(const Stretch& stretch) const;

  Salt salt_;
  size_t payload_limit_bytes_;
  uint64_t offset_;
  uint64_t sound_end_;
  uint64_t records_ = 0;
  bool searching_ = false;  // the place of the next header is not known
  uint32_t last_commit_ = 0, sound_commit_ = 0;
  uint64_t sound_commit_begin_ = 0;
  std::optional<Mark> before_;
  std::vector<Stretch> stretches_;
};

}  // namespace sluice::spool
