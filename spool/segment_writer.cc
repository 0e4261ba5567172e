#include "spool/segment_writer.h"

#include "io/check.h"

namespace sluice::spool {

void SegmentWriter::file_header(FileKind kind) {
  const size_t at = out_.size();
  out_.resize(at + file_header_bytes);
  encode_file_header(std::span(out_).subspan(at), {kind, salt_});
}

void SegmentWriter::begin_record() {
  record_ = out_.size();
  CHECK(record_ % record_alignment == 0);
  out_.resize(record_ + record_header_bytes);
}

void SegmentWriter::end_record(RecordType type, uint32_t number) {
  const std::span<std::byte> record = std::span(out_).subspan(record_);
  encode_record_header(record, salt_, type, number, record.subspan(record_header_bytes));
  out_.resize(padded(out_.size()));
}

void SegmentWriter::record(RecordType type, uint32_t number, Bytes payload) {
  begin_record();
  put(payload);
  end_record(type, number);
}

}  // namespace sluice::spool
