#pragma once

#include <vector>

#include "spool/mail_segment.h"
#include "spool/record.h"

namespace sluice::spool {

/// The record of the index of `segment` as far as it is published (FORMAT.md section 7.4); it lies
/// at segment.bytes().
std::vector<std::byte> encode_mail_index(const MailSegment& segment, Salt salt);

/// The last octets of a file that ends with an index tell how long the record is. 0 when they
/// cannot.
inline constexpr size_t mail_index_trailer_bytes = 8;
uint64_t mail_index_record_bytes(Bytes trailer, uint64_t file_bytes);

/// Fills `segment`, which is empty, from the index record that lies at `offset`, to the end of the
/// file. False, and nothing is done, when the record is not sound or not as FORMAT.md says.
bool read_mail_index(Bytes record, uint64_t offset, Salt salt, MailSegment& segment);

}  // namespace sluice::spool
