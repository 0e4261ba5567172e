#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spool/campaign.h"
#include "spool/campaign_file.h"
#include "spool/error.h"
#include "spool/segment_writer.h"

namespace sluice::spool {

/// Makes the octets of a campaign's file (FORMAT.md section 4.2) from its recipients. Pure. What is
/// behind the head goes to the sink in the order of the file, from offset head_bytes on, a record
/// or a part of one a call; the head, which knows what all of it came to, is returned at the end.
/// Memory: one block, 16 octets a block, and the groups' names.
class CampaignEncoder {
 public:
  using Sink = std::function<void(Bytes)>;

  CampaignEncoder(Salt salt, Sink sink) : salt_(salt), sink_(std::move(sink)) {}

  /// All entries until the next call go to destination `name`. Names must not repeat.
  void begin_group(std::string_view name);
  /// `not_allowed` when the entry or their number is too large; nothing was added then.
  std::expected<void, Error> add(Bytes entry);
  /// The last call: the head for offset 0. `not_allowed` when a part of the tail is too large.
  std::expected<std::vector<std::byte>, Error> finish(const CampaignInfo& info, Bytes message);

  uint32_t recipients() const { return contents_.recipients; }
  /// Of the file as far as it went to the sink, the head included.
  uint64_t bytes() const { return bytes_; }

 private:
  void end_group();
  void end_block();
  void put(Bytes bytes);
  std::expected<void, Error> put_record(const CampaignInfo& info, RecordType type, Bytes payload);

  const Salt salt_;
  const Sink sink_;
  uint64_t bytes_ = head_bytes;
  std::vector<std::byte> block_;  // the record being written
  std::optional<SegmentWriter> block_writer_;
  uint32_t block_first_ = 0;
  Contents contents_;
  std::string group_name_;
  uint32_t group_first_ = 0;
  std::vector<std::byte> groups_, index_;  // payloads of their records
};

}  // namespace sluice::spool
