#pragma once

#include <expected>
#include <optional>
#include <vector>

#include "spool/campaign.h"
#include "spool/segment_writer.h"

namespace sluice::spool {

/// Every file of campaigns/ begins with a head of this size (FORMAT.md section 4); the blocks of a
/// campaign follow it.
inline constexpr size_t head_bytes = 256;
/// The largest record of a block: one entry of entry_bytes_max.
inline constexpr size_t block_record_bytes_max = record_bytes(entry_bytes_max + 3);
inline constexpr size_t index_entry_bytes = 16;

/// Where a campaign's parts lie.
struct Contents {
  uint64_t tail_offset = 0;  // of message, groups and index: behind the last block
  uint64_t tail_bytes = 0;   // to the end of the file
  uint32_t recipients = 0, blocks = 0, groups = 0;
};

struct Head {
  Salt salt;
  CampaignInfo info;
  std::optional<Contents> contents;        // a campaign
  std::optional<CampaignSummary> summary;  // a finished one
};

std::vector<std::byte> encode_head(const Head& head);
/// `in`: the first head_bytes octets of the file, or all of it when it is shorter.
/// ErrorCode::damaged or newer_version.
std::expected<Head, ErrorCode> decode_head(Bytes in);

/// The tail of a campaign's file, borrowed from the octets it was read into.
struct Tail {
  Bytes message, index;
  std::vector<Group> groups;
};
/// `in`: tail_bytes octets from tail_offset. nullopt when a checksum, a length, or a number that
/// must fit another is wrong.
std::optional<Tail> decode_tail(Bytes in, const Contents& contents, Salt salt);

/// An entry of the index, whose numbers decode_tail() found right.
BlockRef block_at(Bytes index, const Contents& contents, Salt salt, uint32_t block);

}  // namespace sluice::spool
