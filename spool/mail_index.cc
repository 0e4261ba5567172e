#include "spool/mail_index.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <unordered_map>

#include "spool/little_endian.h"
#include "spool/mail_record.h"
#include "spool/segment_writer.h"

namespace sluice::spool {
namespace {

using std::chrono::milliseconds;

constexpr size_t fixed_bytes = 24, message_bytes = 12, run_bytes = 12;

/// The index as it lies in its payload.
struct Index {
  uint32_t messages = 0, runs = 0, recipients = 0;
  io::WallTime accepted_at{};
  Bytes message_list, run_list;
  std::vector<std::string_view> names;

  uint32_t offset(uint32_t i) const { return load<uint32_t>(message_list, message_bytes * i); }
  uint32_t first(uint32_t i) const { return load<uint32_t>(message_list, message_bytes * i + 4); }
  uint32_t accepted_ms(uint32_t i) const {
    return load<uint32_t>(message_list, message_bytes * i + 8);
  }
  uint32_t run_first(uint32_t i) const { return load<uint32_t>(run_list, run_bytes * i); }
  uint32_t run_name(uint32_t i) const { return load<uint32_t>(run_list, run_bytes * i + 4); }
  uint32_t run_sender(uint32_t i) const { return load<uint32_t>(run_list, run_bytes * i + 8); }
};

bool take_names(Bytes& rest, uint32_t count, std::vector<std::string_view>& names) {
  if (count > rest.size()) return false;
  names.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    uint64_t bytes;
    if (!get_leb128(rest, bytes) || bytes > rest.size()) return false;
    names.emplace_back(reinterpret_cast<const char*>(rest.data()), bytes);
    rest = rest.subspan(bytes);
  }
  return true;
}

/// Takes the parts of the payload, whose numbers may still say anything.
std::optional<Index> parts_of(Bytes payload, uint64_t record_bytes) {
  if (payload.size() % record_alignment != 0 ||
      payload.size() < fixed_bytes + mail_index_trailer_bytes ||
      load<uint64_t>(payload, payload.size() - mail_index_trailer_bytes) != record_bytes)
    return std::nullopt;
  Index index{.messages = load<uint32_t>(payload, 0),
              .runs = load<uint32_t>(payload, 4),
              .recipients = load<uint32_t>(payload, 12)};
  const auto names = load<uint32_t>(payload, 8);
  const auto accepted_ns = load<uint64_t>(payload, 16);
  if (accepted_ns > INT64_MAX / 2) return std::nullopt;  // times behind it must fit, too
  index.accepted_at = io::WallTime(io::Duration(static_cast<int64_t>(accepted_ns)));
  Bytes rest = payload.first(payload.size() - mail_index_trailer_bytes).subspan(fixed_bytes);
  const uint64_t messages_end = uint64_t{index.messages} * message_bytes,
                 runs_end = messages_end + uint64_t{index.runs} * run_bytes;
  if (runs_end > rest.size()) return std::nullopt;
  index.message_list = rest.first(messages_end);
  index.run_list = rest.subspan(messages_end, runs_end - messages_end);
  rest = rest.subspan(runs_end);
  if (!take_names(rest, names, index.names) || rest.size() >= record_alignment ||
      std::ranges::any_of(rest, [](std::byte b) { return b != std::byte{}; }))
    return std::nullopt;
  return index;
}

/// Do messages lie one behind the other up to the index at `end`, and do recipients ascend from 0?
bool holds_together(const Index& index, uint64_t end) {
  if (index.runs > MailSegment::runs_max || index.names.size() / 2 > index.runs) return false;
  if (index.messages == 0 || index.runs == 0 || index.first(0) != 0 || index.run_first(0) != 0)
    return false;
  // Behind its content lies a large message, alone.
  const bool is_large = index.messages == 1 && index.offset(0) > file_header_bytes;
  if (!is_large && (end > mail_segment_bytes_max || index.offset(0) != file_header_bytes))
    return false;
  for (uint32_t i = 0; i < index.messages; ++i) {
    const bool is_last = i + 1 == index.messages;
    const uint64_t next = is_last ? end : index.offset(i + 1);
    const uint32_t next_first = is_last ? index.recipients : index.first(i + 1);
    if (next <= index.offset(i) + record_header_bytes ||
        next - index.offset(i) > mail_record_bytes_max || next % record_alignment != 0 ||
        next_first <= index.first(i))
      return false;
  }
  for (uint32_t i = 0; i < index.runs; ++i) {
    const uint32_t next = i + 1 == index.runs ? index.recipients : index.run_first(i + 1);
    if (next <= index.run_first(i) || index.run_name(i) >= index.names.size() ||
        index.names[index.run_name(i)].empty() || index.run_sender(i) >= index.names.size())
      return false;
  }
  return true;
}

}  // namespace

std::vector<std::byte> encode_mail_index(const MailSegment& segment, Salt salt) {
  std::vector<std::string_view> names;
  std::unordered_map<std::string_view, uint32_t> numbers;
  for (const Group& group : segment.groups())
    for (const std::string_view name : {group.name, group.sender})
      if (numbers.emplace(name, static_cast<uint32_t>(names.size())).second) names.push_back(name);

  std::vector<std::byte> out;
  SegmentWriter writer(out, salt);
  writer.begin_record();
  writer.put_fixed(segment.blocks());
  writer.put_fixed(segment.group_count());
  writer.put_fixed(static_cast<uint32_t>(names.size()));
  writer.put_fixed(segment.recipients());
  const io::WallTime accepted_at = segment.info().accepted_at;
  writer.put_fixed(static_cast<uint64_t>(accepted_at.time_since_epoch().count()));
  for (uint32_t i = 0; i < segment.blocks(); ++i) {
    const BlockRef ref = segment.block(i);
    const auto since_first = (segment.accepted_at(i) - accepted_at) / milliseconds(1);
    writer.put_fixed(static_cast<uint32_t>(ref.offset));
    writer.put_fixed(ref.first);
    writer.put_fixed(static_cast<uint32_t>(since_first));
  }
  for (const Group& group : segment.groups()) {
    writer.put_fixed(group.first);
    writer.put_fixed(numbers.at(group.name));
    writer.put_fixed(numbers.at(group.sender));
  }
  for (const std::string_view name : names) {
    writer.put_number(name.size());
    writer.put(std::as_bytes(std::span(name)));
  }
  while (writer.payload_bytes() % record_alignment != 0) writer.put_fixed(uint8_t{0});
  writer.put_fixed(uint64_t{record_bytes(writer.payload_bytes() + mail_index_trailer_bytes)});
  writer.end_record(RecordType::mail_index,
                    static_cast<uint32_t>(segment.bytes() / record_alignment));
  return out;
}

uint64_t mail_index_record_bytes(Bytes trailer, uint64_t file_bytes) {
  const auto bytes = load<uint64_t>(trailer, 0);
  const bool fits = bytes % record_alignment == 0 && bytes <= record_bytes(payload_bytes_max) &&
                    file_bytes >= file_header_bytes && bytes <= file_bytes - file_header_bytes;
  return fits ? bytes : 0;
}

bool read_mail_index(Bytes record, uint64_t offset, Salt salt, MailSegment& segment) {
  if (record.size() < record_header_bytes) return false;
  const auto header = decode_record_header(record, salt);
  if (!header || header->type != RecordType::mail_index ||
      header->number != offset / record_alignment || record_bytes(header->length) != record.size())
    return false;
  const Bytes payload = record.subspan(record_header_bytes, header->length);
  if (!is_payload_sound(*header, payload, salt)) return false;
  const auto index = parts_of(payload, record.size());
  if (!index || !holds_together(*index, offset)) return false;

  for (uint32_t i = 0; i < index->messages; ++i) {
    const bool is_last = i + 1 == index->messages;
    const uint64_t end = is_last ? offset : index->offset(i + 1);
    const uint32_t next = is_last ? index->recipients : index->first(i + 1);
    segment.add_message({.offset = index->offset(i),
                         .bytes = static_cast<uint32_t>(end - index->offset(i)),
                         .recipients = next - index->first(i),
                         .accepted_at = index->accepted_at + milliseconds(index->accepted_ms(i))});
  }
  for (uint32_t i = 0; i < index->runs; ++i) {
    const uint32_t next = i + 1 == index->runs ? index->recipients : index->run_first(i + 1);
    segment.add_recipients(index->names[index->run_name(i)], index->names[index->run_sender(i)],
                           next - index->run_first(i));
  }
  segment.publish(offset + record.size());
  return true;
}

}  // namespace sluice::spool
