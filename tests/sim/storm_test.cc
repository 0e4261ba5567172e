#include <gtest/gtest.h>

#include <chrono>

#include "tests/sim/delivery_run.h"
#include "tests/sim/storms.h"

namespace sluice::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

FaultPlan draw_faults(Random& random) {
  FaultPlan faults;
  if (random.chance(0.5)) faults = failing_disk();
  if (random.chance(0.7)) {
    faults.socket_refused = 0.02;
    faults.connect_refused = 0.1;
    faults.connect_unreachable = 0.05;
    faults.connect_black_hole = 0.05;
    faults.connection_broken = 0.2;
    faults.connection_silent = 0.1;
    faults.segment_slow = 0.01;
  }
  return faults;
}

/// A few runs of the engine in bad weather, most of which end badly; then the sun shines.
void storm(uint64_t seed) {
  Random draw(seed);
  const DeliverySetup setup{
      .seed = seed,
      .shards = static_cast<unsigned>(draw.between(1, 3)),
      .servers = static_cast<unsigned>(draw.between(1, 3)),
      .campaigns = static_cast<unsigned>(draw.between(1, 3)),
      .recipients = static_cast<uint32_t>(draw.between(3, 60)),
      .sessions_max = static_cast<unsigned>(draw.between(1, 6)),
      .is_shared = draw.chance(0.5),
      .recipients_per_transaction_max = static_cast<unsigned>(draw.between(1, 12))};
  DeliveryRun run(setup);
  World& world = run.world;
  Random& random = world.random();
  unsigned handed_off = 0;
  for (uint64_t left = random.between(1, 5); left > 0 && !testing::Test::HasFailure(); --left) {
    world.faults = draw_faults(random);
    run.roughness = random.chance(0.7) ? 0.05 : 0;
    if (random.chance(0.2))
      world.disk().capacity = world.disk().used_bytes() + random.below(600'000);
    if (random.chance(0.6))
      world.crash_at(world.operations() + random.between(1, 500),
                     random.chance(0.5) ? Crash::power : Crash::process);
    if (!run.is_running()) run.start(false);
    while (handed_off < setup.campaigns && random.chance(0.7) && run.hand_off(handed_off))
      ++handed_off;
    const io::SocketAddress& cut = run.address(static_cast<unsigned>(random.below(setup.servers)));
    if (random.chance(0.3)) world.network().cut(cut);
    run.run_for(random.between(io::Duration(0), random.chance(0.5) ? seconds(5) : minutes(40)));
    world.network().heal(cut);
    if (random.chance(0.2))
      world.jump_wall(random.between(io::Duration(0), minutes(60)) - minutes(30));
    world.disk().capacity = UINT64_MAX;
    switch (random.below(5)) {
      case 0:  run.kill(); break;
      case 1:  run.lose_power(); break;
      case 2:  run.stop(); break;
      default: break;
    }
  }
  world.crash_at(0, Crash::process);
  world.faults = {};
  for (; handed_off < setup.campaigns; ++handed_off) ASSERT_TRUE(run.hand_off(handed_off));
  run.run_to_the_end();
  run.check_laws();
}

/// Seeds that once broke a law.
constexpr uint64_t once_broken[] = {271706026607076, 115565755171276, 168994643183961,
                                    241345721927637};

TEST(Storm, breaks_no_law) {
  run_storms({.once_broken = once_broken, .storms_max = 4000, .lasts = seconds(60)}, storm);
}

}  // namespace
}  // namespace sluice::sim
