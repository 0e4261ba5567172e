#include "spool/campaign_encoder.h"

#include <fmt/format.h>

#include <array>

namespace sluice::spool {
namespace {

constexpr double mebibyte = 1024 * 1024;

std::unexpected<Error> refused(std::string message) {
  return std::unexpected(Error{ErrorCode::not_allowed, 0, std::move(message)});
}

}  // namespace

void CampaignEncoder::put(Bytes bytes) {
  sink_(bytes);
  bytes_ += bytes.size();
}

void CampaignEncoder::begin_group(std::string_view name) {
  end_group();
  group_name_ = name;
}

void CampaignEncoder::end_group() {
  if (contents_.recipients == group_first_) return;
  put_leb128(groups_, contents_.recipients - group_first_);
  put_leb128(groups_, group_name_.size());
  const Bytes name = std::as_bytes(std::span(group_name_));
  groups_.insert(groups_.end(), name.begin(), name.end());
  ++contents_.groups;
  group_first_ = contents_.recipients;
}

std::expected<void, Error> CampaignEncoder::add(Bytes entry) {
  if (entry.size() > entry_bytes_max)
    return refused(fmt::format("recipient {}: its fields take {} octets; at most {} are possible",
                               contents_.recipients, entry.size(), entry_bytes_max));
  if (contents_.recipients == UINT32_MAX)
    return refused(fmt::format("a campaign has at most {} recipients; make two", UINT32_MAX));
  if (block_writer_ && block_writer_->payload_bytes() + entry.size() + 3 > block_bytes_target)
    end_block();
  if (!block_writer_) {
    block_writer_.emplace(block_, salt_).begin_record();
    block_first_ = contents_.recipients;
  }
  block_writer_->put_number(entry.size());
  block_writer_->put(entry);
  ++contents_.recipients;
  return {};
}

void CampaignEncoder::end_block() {
  if (!block_writer_) return;
  block_writer_->end_record(RecordType::block, block_first_);
  block_writer_.reset();
  ++contents_.blocks;
  SegmentWriter index(index_, salt_);
  index.put_fixed(bytes_);
  index.put_fixed(block_first_);
  index.put_fixed(static_cast<uint32_t>(block_.size()));
  put(block_);
  block_.clear();
}

/// A record of the tail, whose payload may be large: it goes to the sink from where it lies.
std::expected<void, Error> CampaignEncoder::put_record(const CampaignInfo& info, RecordType type,
                                                       Bytes payload) {
  if (payload.size() > payload_bytes_max)
    return refused(fmt::format(
        "campaign '{}': its message or its list of destinations takes {:.0f} MiB; at most {:.0f} "
        "are possible",
        info.id, static_cast<double>(payload.size()) / mebibyte,
        static_cast<double>(payload_bytes_max) / mebibyte));
  std::array<std::byte, record_header_bytes> header;
  encode_record_header(header, salt_, type, 0, payload);
  put(header);
  put(payload);
  constexpr std::array<std::byte, record_alignment> zeros{};
  put(Bytes(zeros).first(padded(payload.size()) - payload.size()));
  return {};
}

std::expected<std::vector<std::byte>, Error> CampaignEncoder::finish(const CampaignInfo& info,
                                                                     Bytes message) {
  end_block();
  end_group();
  contents_.tail_offset = bytes_;
  for (const auto& [type, payload] : {std::pair(RecordType::message, message),
                                      {RecordType::groups, Bytes(groups_)},
                                      {RecordType::index, Bytes(index_)}})
    if (auto done = put_record(info, type, payload); !done) return std::unexpected(done.error());
  contents_.tail_bytes = bytes_ - contents_.tail_offset;
  return encode_head({.salt = salt_, .info = info, .contents = contents_});
}

}  // namespace sluice::spool
