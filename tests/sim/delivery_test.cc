#include <gtest/gtest.h>

#include <string>

#include "tests/sim/delivery_run.h"

namespace sluice::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Ended {
  uint64_t hash, operations;
  bool operator==(const Ended&) const = default;
};

/// Three recipients; the world ends for the engine at an operation, or never (0).
Ended small_scenario(const DeliverySetup& setup, uint64_t crash_operation = 0,
                     Crash kind = Crash::process, uint64_t* first_operation = nullptr) {
  DeliveryRun run(setup);
  for (unsigned c = 0; c < setup.campaigns; ++c) EXPECT_TRUE(run.hand_off(c));
  if (first_operation) *first_operation = run.world.operations() + 1;
  if (crash_operation > 0) run.world.crash_at(crash_operation, kind);
  run.run_to_the_end();
  run.check_laws();
  return {run.world.trace().hash(), run.world.operations()};
}

std::string text(const DeliverySetup& setup) {
  return "seed " + std::to_string(setup.seed) + ", shards " + std::to_string(setup.shards) +
         ", servers " + std::to_string(setup.servers);
}

TEST(Delivery, reaches_everybody_once_in_a_world_without_faults) {
  for (unsigned shards = 1; shards <= 3; ++shards)
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const DeliverySetup setup{
          .seed = seed, .shards = shards, .servers = 3, .campaigns = 2, .recipients = 60};
      SCOPED_TRACE(text(setup));
      DeliveryRun run(setup);
      ASSERT_TRUE(run.hand_off(0));
      ASSERT_TRUE(run.hand_off(1));
      run.run_to_the_end();
      run.check_laws();
      size_t messages = 0;
      for (const auto& server : run.servers) messages += server->deliveries().size();
      EXPECT_EQ(messages, 120u);
      if (HasFailure()) return;
    }
}

TEST(Delivery, of_the_same_message_to_many_takes_few_copies) {
  for (unsigned shards = 1; shards <= 3; ++shards)
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const DeliverySetup setup{.seed = seed,
                                .shards = shards,
                                .servers = 3,
                                .campaigns = 2,
                                .recipients = 60,
                                .is_shared = true};
      SCOPED_TRACE(text(setup));
      DeliveryRun run(setup);
      ASSERT_TRUE(run.hand_off(0));
      ASSERT_TRUE(run.hand_off(1));
      run.run_to_the_end();
      run.check_laws();
      size_t messages = 0, recipients = 0;
      for (const auto& server : run.servers)
        for (const Delivery& delivery : server->deliveries())
          ++messages, recipients += delivery.recipients.size();
      EXPECT_EQ(recipients, 120u);
      EXPECT_LE(messages, 3 * 120u / 5) << "batches are split among shards, but not to pieces";
      if (HasFailure()) return;
    }
}

TEST(Delivery, is_the_same_to_the_last_event_for_the_same_seed) {
  for (unsigned shards = 1; shards <= 3; ++shards)
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const DeliverySetup setup{.seed = seed, .shards = shards, .servers = 2, .recipients = 20};
      SCOPED_TRACE(text(setup));
      EXPECT_EQ(small_scenario(setup), small_scenario(setup));
    }
}

TEST(Delivery, picks_up_what_is_handed_over_while_it_runs) {
  DeliveryRun run({.seed = 3, .shards = 2, .campaigns = 3});
  ASSERT_TRUE(run.hand_off(0));
  run.start(false);
  for (unsigned c = 1; c < 3; ++c) {
    run.run_for(seconds(30));
    ASSERT_TRUE(run.hand_off(c));
    run.run_for(seconds(5));
    EXPECT_EQ(run.deliveries().size(), 3u * (c + 1)) << "within seconds";
  }
  run.run_to_the_end();
  run.check_laws();
}

TEST(Delivery, opens_no_more_sessions_than_allowed_and_one_to_a_host_that_is_down) {
  DeliveryRun run({.seed = 4, .recipients = 200, .sessions_max = 7});
  ASSERT_TRUE(run.hand_off(0));
  run.servers[0]->script = [](Phase, std::string_view) {
    return Answer{.delay = std::chrono::milliseconds(50)};
  };
  run.world.network().set_reach(run.address(0), Reach::refused);
  run.start(false);
  run.run_for(minutes(5));
  EXPECT_EQ(run.servers[0]->sessions(), 0u);
  run.world.network().set_reach(run.address(0), Reach::normal);
  run.run_to_the_end();
  EXPECT_EQ(run.servers[0]->sessions_most(), 7u);
  run.check_laws();
}

/// A line of the log is written while the journal asks again for room, with no fate to store.
TEST(Delivery, goes_on_when_a_campaign_arrives_while_the_journal_finds_no_room_ahead) {
  for (uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    DeliveryRun run({.seed = seed, .campaigns = 6, .recipients = 30});
    ASSERT_TRUE(run.hand_off(0));
    run.world.disk().capacity = run.world.disk().used_bytes() + 100'000;
    run.start(false);
    run.run_for(seconds(1));
    run.world.faults.disk_slow = 0.5;
    for (unsigned c = 1; c < 6; ++c) {
      ASSERT_TRUE(run.hand_off(c));
      run.run_for(seconds(5));
    }
    run.run_to_the_end();
    run.check_laws();
  }
}

TEST(Delivery, lives_through_every_crash_point_of_a_small_scenario) {
  for (unsigned shards = 1; shards <= 2; ++shards)
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      const DeliverySetup setup{.seed = seed, .shards = shards, .is_shared = seed == 3};
      uint64_t first = 0;
      const uint64_t last = small_scenario(setup, 0, Crash::process, &first).operations;
      ASSERT_GT(last, first + 30);
      for (uint64_t operation = first; operation <= last; ++operation)
        for (const Crash kind : {Crash::process, Crash::power}) {
          SCOPED_TRACE(text(setup) + ", operation " + std::to_string(operation) +
                       (kind == Crash::power ? ", power" : ", process"));
          small_scenario(setup, operation, kind);
          if (HasFailure()) return;
        }
    }
}

}  // namespace
}  // namespace sluice::sim
