// Time, caches, servers and crowds: how names are looked up.
#include "engine/dns/resolver.h"

#include <fmt/format.h>

#include "tests/unit/engine/dns/finder_world.h"

namespace sluice::engine::dns {
namespace {

using Conduct = sim::NameServer::Conduct;
using Action = sim::NameServer::Action;

sim::NameServer::Script always(Conduct conduct) {
  return [conduct](std::string_view, std::string_view) { return conduct; };
}

/// Finds `count` domains at once, d0.test and so on; their texts in order of the answers.
std::vector<std::string> find_many(FinderWorld& w, int count, io::Duration patience = 10min) {
  w.turn();
  std::vector<std::string> texts;
  for (int i = 0; i < count; ++i)
    w.finder->find({.domain = fmt::format("d{}.test", i)},
                   [&](const HostListPtr& list) { texts.push_back(w.text(list)); });
  const io::Instant began = w.world.now();
  EXPECT_TRUE(w.world.run_until([&] { return texts.size() == static_cast<size_t>(count); },
                                began + patience));
  w.took = w.world.now() - began;
  return texts;
}

TEST(Resolver, asks_once_for_what_many_wait_for) {
  FinderWorld w;
  w.server().add("example.test", "MX", "10 mx.test.");
  w.server().add("mx.test", "A", "192.0.2.1");
  int found = 0;
  for (int i = 0; i < 5000; ++i)
    w.finder->find({.domain = "example.test"},
                   [&](const HostListPtr& list) { found += list->hosts.size() == 1; });
  EXPECT_TRUE(w.world.run_until([&] { return found == 5000; }, w.world.now() + 10s));
  EXPECT_EQ(w.server().questions(), 3u);
  EXPECT_EQ(w.finder->statistics().look_ups, 3u);
  EXPECT_EQ(w.finder->searching(), 0u);
}

TEST(Resolver, asks_once_for_the_MX_that_many_domains_share) {
  FinderWorld w;
  for (int i = 0; i < 3000; ++i) w.server().add(fmt::format("d{}.test", i), "MX", "10 mx.test.");
  w.server().add("mx.test", "A", "192.0.2.1");
  const auto texts = find_many(w, 3000);
  EXPECT_EQ(std::ranges::count(texts, "10 mx.test 192.0.2.1:25"), 3000);
  EXPECT_EQ(w.server().questions("mx.test", "A"), 1u);
  EXPECT_EQ(w.server().questions("mx.test", "AAAA"), 1u);
  EXPECT_EQ(w.server().questions(), 3002u);
}

TEST(Resolver, has_thousands_of_questions_under_way_and_no_more_than_its_window) {
  FinderWorld w(1, {.timeout = 3s});
  uint64_t open = 0, most = 0;
  w.server().script = [&](std::string_view, std::string_view type) {
    if (type != "MX") return Conduct{};
    most = std::max(most, ++open);
    w.world.after(1s, [&] { --open; });
    return Conduct{.action = Action::fail, .code = 3, .delay = 1s};
  };
  const auto texts = find_many(w, 20'000);
  EXPECT_EQ(texts.size(), 20'000u);
  EXPECT_EQ(w.server().questions(), 20'000u) << "nothing was lost, nothing asked twice";
  EXPECT_GT(most, 1000u);
  // What is on its way back is still under way to us.
  EXPECT_LE(most, Resolver::channels_max * ServerChannel::under_way_max + 100);
  EXPECT_LT(w.took, 30s) << "the window opened";
}

TEST(Resolver, keeps_what_it_found_for_its_time_to_live) {
  FinderWorld w;
  w.server().add("short.test", "A", "192.0.2.1", 60);
  w.server().add("none.test", "A", "192.0.2.1", 0);
  w.server().add("long.test", "A", "192.0.2.1", 1'000'000);
  w.server().negative_ttl_s = 1'000'000;  // of the MX and AAAA that are not there
  const std::vector<std::pair<std::string, io::Duration>> cases{
      {"short.test", 60s}, {"none.test", 5s}, {"long.test", 24h}};
  for (const auto& [name, time] : cases) {
    const HostListPtr list = w.find(name);
    EXPECT_LE(list->good_until, w.world.now() + std::min<io::Duration>(time, 1h)) << name;
    w.world.run_for(time - 1s);
    w.find(name);
    EXPECT_EQ(w.server().questions(name, "A"), 1u) << name;
    w.world.run_for(1s);
    w.find(name);
    EXPECT_EQ(w.server().questions(name, "A"), 2u) << name;
  }
}

TEST(Resolver, an_alias_is_good_for_no_longer_than_each_of_its_links) {
  FinderWorld w;
  w.server().add("a.test", "CNAME", "b.test.", 20);
  w.server().add("b.test", "MX", "10 mx.test.", 3600);
  w.server().add("mx.test", "A", "192.0.2.1", 3600);
  const HostListPtr list = w.find("a.test");
  EXPECT_LE(list->good_until, w.world.now() + 20s);
  EXPECT_GT(list->good_until, w.world.now() + 19s);
}

TEST(Resolver, keeps_that_there_is_nothing_for_the_SOAs_time) {
  for (const auto& [soa_s, kept] :
       std::vector<std::pair<int, io::Duration>>{{60, 60s}, {0, 30s}, {86400, 1h}, {-1, 30s}}) {
    FinderWorld w;
    w.server().has_soa = soa_s >= 0;
    w.server().negative_ttl_s = static_cast<uint32_t>(std::max(soa_s, 0));
    w.found("absent.test");
    w.world.run_for(kept - 1s);
    w.found("absent.test");
    EXPECT_EQ(w.server().questions(), 1u) << soa_s;
    w.world.run_for(1s);
    w.found("absent.test");
    EXPECT_EQ(w.server().questions(), 2u) << soa_s;
  }
}

TEST(Resolver, asks_again_soon_after_a_failure) {
  FinderWorld w;
  w.server().add("example.test", "A", "192.0.2.1");
  w.server().script = always({.action = Action::fail});
  EXPECT_TRUE(w.found("example.test").starts_with("transient"));
  w.server().script = nullptr;
  w.world.run_for(9s);
  EXPECT_TRUE(w.found("example.test").starts_with("transient"));
  w.world.run_for(1s);
  EXPECT_EQ(w.found("example.test"), "0 example.test 192.0.2.1:25");
}

TEST(Resolver, asks_the_next_server_when_one_is_silent_and_begins_with_that_from_then_on) {
  FinderWorld w(2);
  w.server(1).add("a.test", "A", "192.0.2.1");
  w.server(1).add("b.test", "A", "192.0.2.2");
  w.server(0).script = always({.action = Action::silent});
  EXPECT_EQ(w.found("a.test"), "0 a.test 192.0.2.1:25");
  EXPECT_GE(w.took, 1s);
  EXPECT_LT(w.took, 1100ms) << "the addresses went to the other one at once";
  EXPECT_EQ(w.found("b.test"), "0 b.test 192.0.2.2:25");
  EXPECT_LT(w.took, 100ms);
  EXPECT_EQ(w.server(0).questions(), 1u);
}

TEST(Resolver, asks_the_next_server_at_once_when_one_cannot_tell) {
  for (const uint8_t code : std::initializer_list<uint8_t>{1, 2, 4, 5, 9}) {
    FinderWorld w(2);
    w.server(0).script = always({.action = Action::fail, .code = code});
    w.server(1).add("a.test", "A", "192.0.2.1");
    EXPECT_EQ(w.found("a.test"), "0 a.test 192.0.2.1:25");
    EXPECT_LT(w.took, 200ms);
    // Not again in the second round; after FORMERR without EDNS (RFC 6891 section 7).
    EXPECT_EQ(w.server(0).questions("a.test", "MX"), code == 1 ? 2u : 1u);
  }
}

TEST(Resolver, gives_up_when_its_time_is_over) {
  FinderWorld w(3);
  for (size_t i = 0; i < 3; ++i) w.server(i).script = always({.action = Action::silent});
  EXPECT_EQ(w.found("a.test"),
            "transient 4.4.3 dns: a.test: MX: no answer from 192.0.2.54:5353 within 2s");
  EXPECT_EQ(w.took / 1ms, 15'000) << "not 21: that is the most for a look-up";
  EXPECT_EQ(w.finder->statistics().timeouts, 8u);
}

TEST(Resolver, tells_what_one_server_said_rather_than_that_another_said_nothing) {
  FinderWorld w(2);
  w.world.network().latency_max = 0ms;
  w.server(0).script = always({.action = Action::fail});
  w.server(1).script = always({.action = Action::silent});
  EXPECT_EQ(w.found("a.test"), "transient 4.4.3 dns: a.test: MX: SERVFAIL from 192.0.2.53:5353");
  EXPECT_EQ(w.took / 1ms, 7'000) << "the silent one had all its rounds: 1, 2 and 4 s";
}

TEST(Resolver, needs_no_patience_where_nobody_listens) {
  FinderWorld w;
  w.world.network().set_reach(w.options.servers[0], sim::Reach::refused);
  EXPECT_EQ(w.found("a.test"),
            "transient 4.4.3 dns: a.test: MX: 192.0.2.53:5353: Connection refused");
  EXPECT_LT(w.took, 100ms);
}

TEST(Resolver, an_answer_that_comes_too_late_is_no_answer) {
  FinderWorld w;
  w.world.network().latency_max = 0ms;
  w.server().add("a.test", "A", "192.0.2.1");
  w.server().script = always({.delay = 4100ms});
  EXPECT_TRUE(w.found("a.test").starts_with("transient 4.4.3"));
  EXPECT_EQ(w.took / 1ms, 7'000);
  w.world.run_for(11s);
  w.server().script = always({.delay = 3900ms});
  EXPECT_EQ(w.found("a.test"), "0 a.test 192.0.2.1:25");
}

TEST(Resolver, heeds_no_answer_to_another_question) {
  FinderWorld w;
  w.server().add("a.test", "A", "192.0.2.1");
  w.server().script = always({.action = Action::other});
  EXPECT_EQ(w.found("a.test"),
            "transient 4.4.3 dns: a.test: MX: no answer from 192.0.2.53:5353 within 4s");
}

TEST(Resolver, lost_datagrams_fail_nothing_for_good) {
  FinderWorld w(2);
  for (int i = 0; i < 500; ++i)
    for (size_t server = 0; server < 2; ++server) {
      w.server(server).add(fmt::format("d{}.test", i), "MX", fmt::format("10 mx{}.test.", i % 7));
      w.server(server).add(fmt::format("mx{}.test", i % 7), "A", "192.0.2.1");
    }
  w.world.faults.datagram_lost = 0.3;
  const auto texts = find_many(w, 500);
  EXPECT_TRUE(
      std::ranges::none_of(texts, [](const auto& t) { return t.starts_with("permanent"); }));
  EXPECT_GT(std::ranges::count_if(texts, [](const auto& t) { return t.starts_with("10 mx"); }),
            300);
  w.world.faults = {};
  w.world.run_for(11s);
  for (const std::string& text : find_many(w, 500)) EXPECT_TRUE(text.starts_with("10 mx")) << text;
}

TEST(Resolver, a_dead_server_leaves_nothing_behind) {
  FinderWorld w;
  w.server().script = always({.action = Action::silent});
  for (const auto& text : find_many(w, 20'000)) EXPECT_TRUE(text.starts_with("transient"));
  EXPECT_LE(w.took, 21s + 10ms) << "those sent just before the rest, which waited, was given up";
  w.world.run_for(1s);
  EXPECT_EQ(w.proactor.in_flight(), 0u) << "idle: no socket, no timer";
}

TEST(Resolver, asks_from_many_ports) {
  FinderWorld w;
  const auto texts = find_many(w, 20'000);
  EXPECT_GE(w.finder->statistics().questions / ServerChannel::asked_max, 10u);
  EXPECT_EQ(texts.size(), 20'000u);
}

TEST(Resolver, the_same_seed_gives_the_same_trace) {
  const auto trace = [](uint64_t seed) {
    FinderWorld w(2, {}, seed);
    w.world.faults.datagram_lost = 0.2;
    for (int i = 0; i < 300; ++i)
      w.server(i % 2 == 0).add(fmt::format("d{}.test", i), "MX", "10 mx.test.");
    w.server(0).script = [](std::string_view name, std::string_view) {
      return name.ends_with("7.test") ? Conduct{.action = Action::truncate} : Conduct{};
    };
    find_many(w, 300);
    return w.world.trace().hash();
  };
  EXPECT_EQ(trace(1), trace(1));
  EXPECT_NE(trace(1), trace(2));
}

}  // namespace
}  // namespace sluice::engine::dns
