#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "spool/leb128.h"
#include "spool/record.h"

namespace sluice::spool {

/// Builds a file's octets in memory: the header, then records, each written in place and sealed by
/// end_record(). Pure. `out` is borrowed; its size is a multiple of record_alignment between
/// records.
class SegmentWriter {
 public:
  SegmentWriter(std::vector<std::byte>& out, Salt salt) : out_(out), salt_(salt) {}

  void file_header(FileKind kind);

  /// Opens a record; what is put until end_record() is its payload.
  void begin_record();
  void put(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void put_number(uint64_t value) { put_leb128(out_, value); }
  template <std::unsigned_integral T>
  void put_fixed(T value) {
    put(std::as_bytes(std::span(&value, 1)));
  }
  size_t payload_bytes() const { return out_.size() - record_ - record_header_bytes; }
  void end_record(RecordType type, uint32_t number);

  void record(RecordType type, uint32_t number, Bytes payload);

 private:
  std::vector<std::byte>& out_;
  Salt salt_;
  size_t record_ = 0;  // where the open record begins
};

}  // namespace sluice::spool
