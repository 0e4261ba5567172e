// The parts of a campaign's file from random octets, once as they are and once with checksums made
// right, as broken code or an enemy who knows the salt would: nothing may be read outside of them,
// and what is accepted must hold together.

#include <algorithm>

#include "io/check.h"
#include "spool/campaign_file.h"
#include "spool/campaign_name.h"

namespace {

using namespace sluice::spool;

constexpr Salt salt{1, 2};

void check_tail(Bytes tail, const Contents& contents) {
  const auto decoded = decode_tail(tail, contents, salt);
  if (!decoded) return;
  uint64_t recipients = 0;
  for (const Group& group : decoded->groups) {
    CHECK(group.first == recipients);
    recipients += group.count;
  }
  CHECK(recipients == contents.recipients);
  recipients = 0;
  for (uint32_t i = 0; i < contents.blocks; ++i) {
    const BlockRef ref = block_at(decoded->index, contents, salt, i);
    CHECK(ref.first == recipients && ref.count > 0 && ref.bytes <= block_record_bytes_max);
    recipients += ref.count;
  }
  CHECK(recipients == contents.recipients);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  if (const auto head = decode_head(input)) CHECK(is_campaign_id(head->info.id));
  if (const auto id = campaign_id({reinterpret_cast<const char*>(data), size}))
    CHECK(is_campaign_id(*id));
  if (size < 8) return 0;

  const uint8_t recipients = data[0], blocks = data[1], groups = data[2];
  const Bytes rest = input.subspan(4), first = rest.first(data[3] % rest.size()),
              second = rest.subspan(first.size());
  std::vector<std::byte> tail;
  SegmentWriter writer(tail, salt);
  writer.record(RecordType::message, 0, {});
  writer.record(RecordType::groups, 0, first);
  writer.record(RecordType::index, 0, second);
  check_tail(tail, {.tail_offset = head_bytes + 24 * blocks,
                    .tail_bytes = tail.size(),
                    .recipients = recipients,
                    .blocks = blocks,
                    .groups = groups});
  check_tail(input,
             {.tail_bytes = size, .recipients = recipients, .blocks = blocks, .groups = groups});

  std::vector<std::byte> block;
  SegmentWriter(block, salt).record(RecordType::block, 0, rest);
  uint32_t visited = 0;
  const bool is_sound = visit_block(
      {.bytes = static_cast<uint32_t>(block.size()), .count = recipients, .salt = salt.bits()},
      block, [&](uint32_t number, Bytes entry) {
        CHECK(number == visited++);
        CHECK(entry.size() <= rest.size());
      });
  CHECK(is_sound ? visited == recipients : visited == 0);
  return 0;
}
