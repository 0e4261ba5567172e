// A segment of random octets, and a good one with random damage: what is read must be a subset of
// what was written, in windows of any size as in one.

#include <algorithm>
#include <map>

#include "io/check.h"
#include "spool/outcome_record.h"
#include "spool/segment_reader.h"

namespace {

using namespace sluice::spool;

constexpr Salt salt{0x55667788, 0x11223344};

std::map<std::pair<uint64_t, uint32_t>, uint16_t> read(Bytes octets, size_t window_bytes) {
  std::map<std::pair<uint64_t, uint32_t>, uint16_t> seen;
  SegmentReader reader(salt, outcome_payload_bytes_max);
  const uint64_t size = octets.size();
  for (bool is_last = false; !is_last;) {
    const Bytes window = octets.first(std::min(octets.size(), window_bytes));
    is_last = window.size() == octets.size();
    const size_t done = reader.read(window, is_last, [&](const RecordHeader&, Bytes payload) {
      visit_outcomes(payload,
                     [&](const Outcome& o) { seen[{o.campaign, o.recipient}] = o.attempt; });
    });
    CHECK(done <= window.size() && (done > 0 || is_last));
    octets = octets.subspan(done);
  }
  uint64_t end = file_header_bytes;
  for (const auto& lost : reader.lost()) {
    CHECK(lost.offset >= end && lost.bytes > 0);
    end = lost.offset + lost.bytes;
  }
  CHECK(end <= file_header_bytes + size && reader.sound_end() <= file_header_bytes + size);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input = std::as_bytes(std::span(data, size));
  read(input, SIZE_MAX);
  visit_outcomes(input, [](const Outcome&) {});

  std::vector<std::byte> good;
  SegmentWriter writer(good, salt);
  for (uint32_t commit = 1; commit <= 4; ++commit) {
    std::vector<Outcome> outcomes;
    for (uint32_t i = 0; i < commit; ++i)
      outcomes.push_back({.campaign = i % 2,
                          .recipient = commit * 10 + i,
                          .attempt = static_cast<uint16_t>(commit),
                          .kind = OutcomeKind::failed});
    encode_commit(writer, commit, outcomes);
  }
  const auto truth = read(good, SIZE_MAX);
  for (size_t i = 0; i + 1 < size; i += 2)
    good[data[i] % good.size()] = static_cast<std::byte>(data[i + 1]);
  const auto seen = read(good, SIZE_MAX);
  CHECK(std::ranges::includes(truth, seen));
  CHECK(read(good, record_bytes(outcome_payload_bytes_max)) == seen);
  return 0;
}
