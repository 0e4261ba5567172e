#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "io/proactor.h"
#include "spool/error.h"
#include "spool/segment_reader.h"

namespace sluice::spool {

/// A stretch of a file that could not be read and was passed over.
struct Damage {
  std::string path;
  uint64_t offset = 0, bytes = 0;
  std::string reason;
};

/// What is to be done to a segment's file so that what was taken of it is durable.
struct Settlement {
  uint64_t cut_at = UINT64_MAX;                 // where a torn tail begins; none: not cut
  uint64_t doubtful_from = 0, doubtful_to = 0;  // taken, and perhaps in the page cache alone
};

/// A segment's file that an earlier run left, open while in scope. Blocking.
class RecoveryFile {
 public:
  RecoveryFile(io::Proactor& proactor, const std::string& path, int flags);
  RecoveryFile(const RecoveryFile&) = delete;
  RecoveryFile& operator=(const RecoveryFile&) = delete;
  ~RecoveryFile();

  int32_t result() const { return result_; }  // of the opening
  io::File file() const { return open_.file; }
  /// Did the disk refuse some of it?
  bool is_unreadable() const { return is_unreadable_; }
  /// It stays open: whoever has file() closes it.
  void release() { open_.file = {}; }

  /// Reads as much of `out` as lies before `end`. Octets that the disk refuses are zeros, which no
  /// record begins with, and go to `damages`.
  std::expected<size_t, Error> fill(uint64_t end, uint64_t offset, std::span<std::byte> out,
                                    std::vector<Damage>& damages);
  /// Gives `reader` all octets from file_header_bytes to `end`, which comes down to the file's end.
  /// `window` holds what the reader wants at least.
  std::expected<void, Error> read(SegmentReader& reader, uint64_t& end, std::span<std::byte> window,
                                  std::vector<Damage>& damages, const SegmentReader::Visit& visit);
  /// Cuts, and makes durable what was taken: a kill may have left the last commit in the page cache
  /// alone, and a loss of power could take it after it was counted.
  std::expected<void, Error> settle(const Settlement& settlement, std::span<std::byte> window);

 private:
  std::expected<void, Error> write_again(const Settlement& settlement, std::span<std::byte> window);

  io::Proactor& proactor_;
  const std::string path_;
  io::Open open_;
  int32_t result_;
  bool is_unreadable_ = false;
};

}  // namespace sluice::spool
