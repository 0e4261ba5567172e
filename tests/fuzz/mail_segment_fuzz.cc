// A mail segment from random octets: its records and its index once with checksums made right, as
// broken code or an enemy who knows the salt would, and a whole file with random damage that is
// recovered. Nothing may be read outside of them, and what is accepted must hold together.

#include <algorithm>
#include <map>

#include "io/check.h"
#include "spool/mail_index.h"
#include "spool/mail_record.h"
#include "spool/mail_recovery.h"
#include "spool/segment_writer.h"
#include "tests/sim/world/world.h"

namespace {

using namespace sluice;
using namespace sluice::spool;

const MailName name{1, 0, 2, Salt{3, 4}};

void check_payload(Bytes payload) {
  const auto mail = decode_mail_payload(RecordType::mail, payload);
  if (!mail) return;
  uint32_t visited = 0;
  size_t bytes = mail->envelope.size() + mail->content.size();
  mail->visit_recipients([&](uint32_t number, const MailRecipient& recipient) {
    CHECK(number == mail->first + visited++);
    CHECK(!recipient.group.empty());
    bytes += recipient.entry.size();
  });
  CHECK(visited == mail->count && bytes < payload.size());
}

void check_segment(const MailSegment& segment) {
  uint32_t recipients = 0;
  uint64_t end = 0;
  for (uint32_t i = 0; i < segment.blocks(); ++i) {
    const BlockRef ref = segment.block(i);
    CHECK(ref.first == recipients && ref.count > 0);
    CHECK(ref.offset >= end && segment.block_of(recipients) == i);
    CHECK(segment.accepted_at(i) >= segment.info().accepted_at);
    recipients += ref.count;
    end = ref.offset;
  }
  CHECK(recipients == segment.recipients());
  recipients = 0;
  for (const Group& group : segment.groups()) {
    CHECK(group.first == recipients && group.count > 0 && !group.name.empty());
    recipients += group.count;
  }
  CHECK(recipients == segment.recipients());
}

void check_index(Bytes payload, uint64_t offset) {
  std::vector<std::byte> record;
  SegmentWriter(record, name.salt)
      .record(RecordType::mail_index, static_cast<uint32_t>(offset / record_alignment), payload);
  MailSegment segment(name, "", {});
  if (read_mail_index(record, offset, name.salt, segment)) check_segment(segment);
}

/// Four commits of a message or two; each envelope is a number.
std::vector<std::byte> good_file() {
  std::vector<std::byte> file(file_header_bytes);
  encode_file_header(file, {FileKind::mail, name.salt});
  uint32_t recipients = 0;
  for (uint8_t commit = 0; commit < 4; ++commit) {
    std::vector<std::byte> records;
    for (uint8_t i = 0; i <= commit % 2; ++i) {
      const std::byte envelope{static_cast<uint8_t>(2 * commit + i)};
      const MailRecipient to[] = {{"a.example", {}}, {commit % 2 ? "b.example" : "a.example", {}}};
      const Bytes content[] = {Bytes(file).first(20)};
      encode_mail(records, {Bytes(&envelope, 1), "s.example", to, content}, io::WallTime{});
    }
    seal_mail(records, name.salt, file.size(), recipients,
              [&](uint64_t, size_t, const Mail& mail) { recipients = mail.first + mail.count; });
    file.insert(file.end(), records.begin(), records.end());
  }
  return file;
}

/// Envelopes by the first recipient's number.
std::map<uint32_t, std::byte> recovered_from(sim::World& world) {
  io::Proactor& proactor = world.start().proactor();
  const auto recovered = recover_mail(proactor, "/spool");
  CHECK(recovered);
  std::map<uint32_t, std::byte> found;
  for (const auto& segment : recovered->segments) {
    check_segment(*segment);
    for (uint32_t i = 0; i < segment->blocks(); ++i) {
      const BlockRef ref = segment->block(i);
      std::vector<std::byte> record(ref.bytes);
      io::Read read;
      read.file = segment->file();
      read.offset = ref.offset;
      read.bytes = record;
      io::run(proactor, read);
      const auto mail = decode_mail(ref, record);
      if (mail) found[mail->first] = mail->envelope[0];
    }
  }
  return found;
}

void check_recovery(const std::vector<std::byte>& file, bool is_damaged) {
  static const auto truth = [] {
    std::map<uint32_t, std::byte> all;
    uint32_t recipients = 0;
    for (uint8_t commit = 0; commit < 4; ++commit)
      for (uint8_t i = 0; i <= commit % 2; ++i, recipients += 2)
        all[recipients] = std::byte{static_cast<uint8_t>(2 * commit + i)};
    return all;
  }();
  sim::World world(1);
  world.disk().put_directory("/spool");
  world.disk().put_directory("/spool/mail");
  world.disk().put("/spool/mail/" + name.text(),
                   {reinterpret_cast<const char*>(file.data()), file.size()});
  const auto seen = recovered_from(world);
  CHECK(std::ranges::includes(truth, seen));
  CHECK(is_damaged || seen == truth);
  CHECK(recovered_from(world) == seen);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  check_payload(input);
  if (size > 1) check_index(input.subspan(1), data[0] * 16u);

  std::vector<std::byte> file = good_file();
  for (size_t i = 0; i + 2 < size; i += 3)
    file[(data[i] | data[i + 1] << 8) % file.size()] = static_cast<std::byte>(data[i + 2]);
  if (size % 3 == 1) file.resize(data[0] * 4u % file.size());
  check_recovery(file, size > 0);
  return 0;
}
