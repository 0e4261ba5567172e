#include "spool/campaign_file.h"

#include <algorithm>

#include "io/check.h"
#include "spool/campaign_name.h"
#include "spool/little_endian.h"

namespace sluice::spool {
namespace {

constexpr uint32_t repeatable = 0, unrepeatable = 1;  // the number of an info
constexpr size_t info_bytes_min = 16, contents_bytes = 28, summary_bytes = 64;

uint64_t nanoseconds(io::WallTime time) {
  return static_cast<uint64_t>(time.time_since_epoch().count());
}
io::WallTime wall_time(uint64_t since_1970_ns) {
  return io::WallTime(io::Duration(static_cast<int64_t>(since_1970_ns)));
}

/// Takes the record of `type` off the front of `in`.
std::optional<Bytes> take_record(Bytes& in, Salt salt, RecordType type) {
  if (in.size() < record_header_bytes) return std::nullopt;
  const auto header = decode_record_header(in, salt);
  if (!header || header->type != type || in.size() < record_bytes(header->length))
    return std::nullopt;
  const Bytes payload = in.subspan(record_header_bytes, header->length);
  if (!is_payload_sound(*header, payload, salt)) return std::nullopt;
  in = in.subspan(record_bytes(header->length));
  return payload;
}

void put_contents(SegmentWriter& writer, const Contents& contents) {
  writer.begin_record();
  writer.put_fixed(contents.tail_offset);
  writer.put_fixed(contents.tail_bytes);
  writer.put_fixed(contents.recipients);
  writer.put_fixed(contents.blocks);
  writer.put_fixed(contents.groups);
  writer.end_record(RecordType::contents, 0);
}

void put_summary(SegmentWriter& writer, const CampaignSummary& summary) {
  writer.begin_record();
  writer.put_fixed(nanoseconds(summary.finished_at));
  for (const uint64_t count :
       {summary.recipients, summary.delivered, summary.failed, summary.expired, summary.cancelled,
        summary.unreadable, summary.in_doubt})
    writer.put_fixed(count);
  writer.end_record(RecordType::summary, 0);
}

std::optional<CampaignSummary> summary_of(Bytes payload) {
  if (payload.size() != summary_bytes) return std::nullopt;
  const auto number = [&](size_t i) { return load<uint64_t>(payload, 8 * i); };
  return CampaignSummary{.recipients = number(1),
                         .delivered = number(2),
                         .failed = number(3),
                         .expired = number(4),
                         .cancelled = number(5),
                         .unreadable = number(6),
                         .in_doubt = number(7),
                         .finished_at = wall_time(number(0))};
}

std::optional<Contents> contents_of(Bytes payload) {
  if (payload.size() != contents_bytes) return std::nullopt;
  return Contents{load<uint64_t>(payload, 0), load<uint64_t>(payload, 8),
                  load<uint32_t>(payload, 16), load<uint32_t>(payload, 20),
                  load<uint32_t>(payload, 24)};
}

/// Do the blocks lie one behind the other from the head to the tail, and do their recipients ascend
/// from 0?
bool is_index_sound(Bytes index, const Contents& contents, Salt salt) {
  if (index.size() != contents.blocks * index_entry_bytes ||
      (contents.blocks == 0) != (contents.recipients == 0))
    return false;
  uint64_t offset = head_bytes, recipient = 0;
  for (uint32_t i = 0; i < contents.blocks; ++i) {
    const auto first = load<uint32_t>(index, i * index_entry_bytes + 8);
    if (first != recipient || first >= contents.recipients) return false;
    if (i + 1 < contents.blocks && load<uint32_t>(index, (i + 1) * index_entry_bytes + 8) <= first)
      return false;
    const BlockRef ref = block_at(index, contents, salt, i);
    if (ref.offset != offset || ref.bytes <= record_header_bytes ||
        ref.bytes > block_record_bytes_max)
      return false;
    offset += ref.bytes;
    recipient = uint64_t{first} + ref.count;
  }
  return offset == contents.tail_offset;
}

std::optional<std::vector<Group>> groups_of(Bytes payload, const Contents& contents) {
  std::vector<Group> groups;
  if (contents.groups > payload.size()) return std::nullopt;
  groups.reserve(contents.groups);
  uint64_t first = 0;
  while (!payload.empty()) {
    uint64_t count, bytes;
    if (!get_leb128(payload, count) || !get_leb128(payload, bytes) || bytes > payload.size())
      return std::nullopt;
    if (count > contents.recipients - first) return std::nullopt;
    const std::string_view name(reinterpret_cast<const char*>(payload.data()), bytes);
    groups.push_back({name, static_cast<uint32_t>(first), static_cast<uint32_t>(count)});
    payload = payload.subspan(bytes);
    first += count;
  }
  if (groups.size() != contents.groups || first != contents.recipients) return std::nullopt;
  return groups;
}

}  // namespace

std::vector<std::byte> encode_head(const Head& head) {
  std::vector<std::byte> out;
  SegmentWriter writer(out, head.salt);
  writer.file_header(head.summary ? FileKind::summary : FileKind::campaign);
  writer.begin_record();
  writer.put_fixed(head.info.uid);
  writer.put_fixed(nanoseconds(head.info.accepted_at));
  writer.put(std::as_bytes(std::span(head.info.id)));
  writer.end_record(RecordType::info, head.info.is_repeatable ? repeatable : unrepeatable);
  if (head.summary)
    put_summary(writer, *head.summary);
  else
    put_contents(writer, *head.contents);
  CHECK(out.size() <= head_bytes);
  out.resize(head_bytes);
  return out;
}

std::expected<Head, ErrorCode> decode_head(Bytes in) {
  const auto damaged = std::unexpected(ErrorCode::damaged);
  if (in.size() < file_header_bytes) return damaged;
  const auto header = decode_file_header(in);
  if (!header)
    return std::unexpected(header.error() == FileHeaderFault::newer_version
                               ? ErrorCode::newer_version
                               : ErrorCode::damaged);
  if (header->kind != FileKind::campaign && header->kind != FileKind::summary) return damaged;

  in = in.subspan(file_header_bytes);
  Head head{.salt = header->salt};
  const Bytes from_info = in;
  const auto info = take_record(in, head.salt, RecordType::info);
  if (!info || info->size() <= info_bytes_min) return damaged;
  const uint32_t number = decode_record_header(from_info, head.salt)->number;
  if (number > unrepeatable) return damaged;
  head.info.is_repeatable = number == repeatable;
  head.info.uid = load<uint64_t>(*info, 0);
  head.info.accepted_at = wall_time(load<uint64_t>(*info, 8));
  const Bytes id = info->subspan(info_bytes_min);
  head.info.id.assign(reinterpret_cast<const char*>(id.data()), id.size());
  if (!is_campaign_id(head.info.id)) return damaged;

  if (header->kind == FileKind::summary) {
    if (const auto payload = take_record(in, head.salt, RecordType::summary))
      head.summary = summary_of(*payload);
  } else {
    if (const auto payload = take_record(in, head.salt, RecordType::contents))
      head.contents = contents_of(*payload);
  }
  if (!head.summary && !head.contents) return damaged;
  return head;
}

std::optional<Tail> decode_tail(Bytes in, const Contents& contents, Salt salt) {
  if (in.size() != contents.tail_bytes) return std::nullopt;
  const auto message = take_record(in, salt, RecordType::message);
  if (!message) return std::nullopt;
  const auto groups = take_record(in, salt, RecordType::groups);
  if (!groups) return std::nullopt;
  const auto index = take_record(in, salt, RecordType::index);
  if (!index || !in.empty() || !is_index_sound(*index, contents, salt)) return std::nullopt;
  auto list = groups_of(*groups, contents);
  if (!list) return std::nullopt;
  return Tail{*message, *index, std::move(*list)};
}

BlockRef block_at(Bytes index, const Contents& contents, Salt salt, uint32_t block) {
  CHECK(block < contents.blocks);
  const size_t at = block * index_entry_bytes;
  const auto first = load<uint32_t>(index, at + 8);
  const uint32_t end = block + 1 < contents.blocks
                           ? load<uint32_t>(index, at + index_entry_bytes + 8)
                           : contents.recipients;
  return {load<uint64_t>(index, at), load<uint32_t>(index, at + 12), first, end - first,
          salt.bits()};
}

}  // namespace sluice::spool
