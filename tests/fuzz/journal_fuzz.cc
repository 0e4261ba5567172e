// A journal in the simulated world: random outcomes, commits, failures of the disk and a loss of
// power, then recovery. What was acknowledged is there, and nothing that was never appended.

#include <algorithm>
#include <memory>
#include <set>

#include "io/check.h"
#include "io/event_loop.h"
#include "spool/journal.h"
#include "spool/recovery.h"
#include "tests/sim/world/world.h"

namespace {

using namespace sluice;

struct Witness : spool::Journal::Listener {
  void journal_committed(uint64_t position) override { durable = position; }
  void journal_stalled(const spool::Error&) override {}
  void journal_resumed() override {}
  uint64_t durable = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size = std::min<size_t>(size, 400);
  sim::World world(size > 0 ? data[0] : 0);
  world.disk().put_directory("/spool");
  world.disk().put_directory("/spool/journal");
  std::vector<std::pair<uint64_t, uint32_t>> appended;
  Witness witness;
  {
    sim::Process& process = world.start();
    io::EventLoop loop(process.proactor());
    const auto journal = spool::Journal::create(loop, "/spool", 0, 1, {}, witness);
    for (size_t i = 1; i < size; ++i) {
      switch (data[i] % 8) {
        case 0:
        case 1:
        case 2:
        case 3:
          appended.emplace_back(1 + data[i] / 8 % 3, static_cast<uint32_t>(i));
          journal->append({.campaign = appended.back().first,
                           .recipient = appended.back().second,
                           .attempt = 1,
                           .kind = spool::OutcomeKind::delivered});
          break;
        case 4:
        case 5: journal->commit(); break;
        case 6: loop.turn(loop.now() + std::chrono::milliseconds(300)); break;
        case 7:
          world.faults.write_error = data[i] & 8 ? 0.5 : 0;
          world.faults.write_no_space = data[i] & 16 ? 0.5 : 0;
          world.faults.datasync_error = data[i] & 32 ? 0.5 : 0;
          world.faults.name_error = data[i] & 64 ? 0.3 : 0;
          break;
      }
    }
    world.faults = {};
    world.lose_power();
  }
  const uint64_t durable = witness.durable;

  sim::Process& process = world.start();
  for (int round = 0; round < 2; ++round) {
    const auto recovered = spool::recover_journal(process.proactor(), "/spool");
    CHECK(recovered);
    CHECK(recovered->damages.empty());
    uint64_t found = 0;
    for (size_t i = 0; i < appended.size(); ++i) {
      const auto& [campaign, recipient] = appended[i];
      const auto progress = recovered->campaigns.find(campaign);
      const bool is_there =
          progress != recovered->campaigns.end() && progress->second.has_fate(recipient);
      CHECK(is_there || i >= durable);
      found += is_there;
    }
    uint64_t fates = 0;
    for (const auto& [uid, progress] : recovered->campaigns) fates += progress.delivered;
    CHECK(fates == found);
  }
  return 0;
}
