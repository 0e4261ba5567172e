// Mail is signed (DKIM) in a world where that takes time: what it must not change, and whom it must
// not hold up.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "engine/dkim/keyring.h"
#include "tests/sim/scenario.h"

namespace sluice::sim {
namespace {

using engine::dkim::Algorithm;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

/// What RSA-2048 takes here. The keys are quick ones; the world makes the time pass.
constexpr io::Duration signature = microseconds(700);

engine::dkim::KeyringPtr keys() {
  static const auto made =
      std::make_shared<const engine::dkim::Keyring>(std::vector<engine::dkim::Signer>{
          {.domain = "client.test",
           .selector = "s1",
           .key = engine::dkim::Key::generate(Algorithm::ed25519_sha256, 0)}});
  return made;
}

std::vector<std::string> people(unsigned count) {
  std::vector<std::string> addresses;
  for (unsigned i = 0; i < count; ++i) addresses.push_back(fmt::format("r{}@a.test", i));
  return addresses;
}

/// A newsletter, signed one by one.
MailServer& begin(Scenario& scenario, unsigned recipients) {
  scenario.keys = keys();
  scenario.world.work = signature;
  MailServer& server = scenario.add_host("mx.a.test", "192.0.2.1");
  scenario.names.add("a.test", "MX", "10 mx.a.test.");
  scenario.hand_off({.id = "news", .recipients = people(recipients)});
  return server;
}

TEST(Signing, is_the_same_to_the_last_event_for_the_same_seed) {
  const auto run = [](unsigned shards) {
    Scenario scenario("", shards);
    const MailServer& server = begin(scenario, 100);
    scenario.start(true);
    EXPECT_TRUE(scenario.run_until([&] { return scenario.has_stopped(); }, minutes(1)));
    EXPECT_EQ(server.deliveries().size(), 100u);
    for (const Delivery& delivery : server.deliveries())
      EXPECT_THAT(delivery.content, testing::StartsWith("DKIM-Signature: v=1; a=ed25519-sha256;"));
    uint64_t signatures = 0;
    for (const auto& shard : scenario.counters().shards)
      signatures += shard.dkim_signatures[static_cast<size_t>(Algorithm::ed25519_sha256)].value();
    EXPECT_EQ(signatures, 100u);
    return std::pair(scenario.world.trace().hash(), scenario.world.operations());
  };
  for (unsigned shards = 1; shards <= 2; ++shards) EXPECT_EQ(run(shards), run(shards));
}

TEST(Signing, holds_up_no_deadline) {
  Scenario scenario("[destination.\"*\".timeout]\ngreeting = \"3s\"\n");
  begin(scenario, 10'000);
  MailServer& silent = scenario.add_host("mx.b.test", "192.0.2.2");
  scenario.names.add("b.test", "MX", "10 mx.b.test.");
  silent.script = [](Phase, std::string_view) { return Answer{.action = Answer::Action::stall}; };
  scenario.start();
  scenario.run_for(seconds(1));
  scenario.hand_off({.id = "one", .recipients = {"r@b.test"}});
  scenario.run_for(seconds(4));
  EXPECT_LT(scenario.totals().fates(), 10'000u) << "nothing was left to sign";
  EXPECT_GT(scenario.totals().fates(), 1'000u);
  const auto lines = scenario.log("r@b.test");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].brief(), "deferred 1 greeting: timed out after 3 s");
  // A turn's signatures, a tick of the wheel, and the last look at the socket.
  EXPECT_LE(lines[0].phases_s.at("greeting"), 3 + 0.004);
}

}  // namespace
}  // namespace sluice::sim
