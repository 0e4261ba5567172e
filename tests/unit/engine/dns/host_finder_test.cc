// What a domain's records come to, asked of a name server of the simulated world.
#include "engine/dns/host_finder.h"

#include "tests/unit/engine/dns/finder_world.h"

namespace sluice::engine::dns {
namespace {

TEST(HostFinder, sorts_the_addresses_of_MXes_by_preference) {
  FinderWorld w;
  w.server().add("example.test", "MX", "20 mx2.example.test.");
  w.server().add("example.test", "MX", "10 MX1.example.test.");
  w.server().add("mx1.example.test", "A", "192.0.2.1");
  w.server().add("mx1.example.test", "AAAA", "2001:db8::1");
  w.server().add("mx2.example.test", "A", "192.0.2.2");
  EXPECT_EQ(w.found("example.test"),
            "10 mx1.example.test [2001:db8::1]:25, 10 mx1.example.test 192.0.2.1:25, "
            "20 mx2.example.test 192.0.2.2:25");
}

TEST(HostFinder, takes_the_port_of_the_target) {
  FinderWorld w;
  w.server().add("example.test", "A", "192.0.2.1");
  EXPECT_EQ(w.found(Target{.domain = "example.test", .port = 2525}),
            "0 example.test 192.0.2.1:2525");
}

TEST(HostFinder, takes_the_domain_itself_where_there_is_no_MX) {
  FinderWorld w;
  w.server().add("example.test", "AAAA", "2001:db8::1");
  EXPECT_EQ(w.found("Example.TEST."), "0 example.test [2001:db8::1]:25");
}

TEST(HostFinder, fails_for_good_where_there_is_nothing_to_connect_to) {
  FinderWorld w;
  w.server().add("null.test", "MX", "0 .");
  w.server().add("text.test", "CNAME", "empty.test.");
  w.server().add("empty.test", "MX", "1 nowhere.test.");
  w.server().remove("empty.test");
  w.server().add("dangling.test", "MX", "10 gone.test.");
  w.server().add("dangling.test", "MX", "20 away.test.");
  w.server().add("bare.test", "CNAME", "alias-only.test.");
  w.server().add("alias-only.test", "CNAME", "nothing.test.");
  EXPECT_EQ(w.found("null.test"), "permanent 5.1.10 dns: null.test: accepts no mail (null MX)");
  EXPECT_EQ(w.found("absent.test"), "permanent 5.1.2 dns: absent.test: no such domain (NXDOMAIN)");
  EXPECT_EQ(w.found("dangling.test"),
            "permanent 5.4.4 dns: dangling.test: no MX has an address (gone.test, away.test)");
  EXPECT_EQ(w.found("a..b"), "permanent 5.1.2 dns: 'a..b' is no domain name");
  EXPECT_EQ(w.found(""), "permanent 5.1.2 dns: '' is no domain name");
  EXPECT_EQ(w.found("[192.0.2.300]"), "permanent 5.1.2 dns: '[192.0.2.300]' is no domain name");
}

TEST(HostFinder, tells_a_name_without_MX_and_address_from_one_that_is_not_there) {
  FinderWorld w;
  w.server().add("ns.test", "CNAME", "other.test.");
  w.server().add("plain.test", "MX", "10 mx.test.");
  w.server().script = [](std::string_view name, std::string_view) {
    // It is there, and has neither MX nor address.
    return name == "plain.test"
               ? sim::NameServer::Conduct{.action = sim::NameServer::Action::fail, .code = 0}
               : sim::NameServer::Conduct{};
  };
  EXPECT_EQ(w.found("plain.test"), "permanent 5.1.2 dns: plain.test: has neither MX nor address");
}

TEST(HostFinder, passes_over_a_null_MX_that_stands_among_others) {
  FinderWorld w;
  w.server().add("example.test", "MX", "0 .");
  w.server().add("example.test", "MX", "10 mx.test.");
  w.server().add("mx.test", "A", "192.0.2.1");
  EXPECT_EQ(w.found("example.test"), "10 mx.test 192.0.2.1:25");
}

TEST(HostFinder, follows_aliases_of_the_domain_and_of_the_MX) {
  FinderWorld w;
  w.server().add("www.test", "CNAME", "a.test.");
  w.server().add("a.test", "CNAME", "b.test.");
  w.server().add("b.test", "MX", "10 mx.test.");
  w.server().add("mx.test", "CNAME", "host.test.");
  w.server().add("host.test", "A", "192.0.2.1");
  EXPECT_EQ(w.found("www.test"), "10 mx.test 192.0.2.1:25");
  w.server().follows_aliases = false;
  w.server().add("again.test", "CNAME", "www.test.");
  EXPECT_EQ(w.found("again.test"), "10 mx.test 192.0.2.1:25");
  EXPECT_GT(w.server().questions("b.test", "MX"), 0u);
}

TEST(HostFinder, aliases_in_a_circle_come_to_an_end) {
  FinderWorld w;
  w.server().add("a.test", "CNAME", "b.test.");
  w.server().add("b.test", "CNAME", "a.test.");
  EXPECT_EQ(w.found("a.test"), "transient 4.4.3 dns: a.test: MX: its aliases (CNAME) form a loop");
  w.server().follows_aliases = false;
  EXPECT_EQ(w.found("b.test"), "transient 4.4.3 dns: b.test: MX: its aliases (CNAME) form a loop");
  EXPECT_LT(w.server().questions(), 20u);
}

TEST(HostFinder, a_failing_server_fails_nothing_for_good) {
  FinderWorld w;
  w.server().add("mx.test", "MX", "10 a.test.");
  w.server().add("mx.test", "MX", "20 b.test.");
  w.server().script = [](std::string_view name, std::string_view) {
    using enum sim::NameServer::Action;
    if (name == "servfail.test") return sim::NameServer::Conduct{.action = fail, .code = 2};
    if (name == "refused.test") return sim::NameServer::Conduct{.action = fail, .code = 5};
    if (name == "garbage.test") return sim::NameServer::Conduct{.action = garbage};
    if (name == "a.test") return sim::NameServer::Conduct{.action = fail, .code = 2};
    return sim::NameServer::Conduct{};
  };
  EXPECT_EQ(w.found("servfail.test"),
            "transient 4.4.3 dns: servfail.test: MX: SERVFAIL from 192.0.2.53:5353");
  EXPECT_EQ(w.found("refused.test"),
            "transient 4.4.3 dns: refused.test: MX: REFUSED from 192.0.2.53:5353");
  EXPECT_EQ(w.found("garbage.test"),
            "transient 4.4.3 dns: garbage.test: MX: 192.0.2.53:5353: malformed answer: it ends "
            "within a record");
  // b.test has no address, a.test may have one.
  EXPECT_EQ(w.found("mx.test"),
            "transient 4.4.3 dns: mx.test: address of a.test: SERVFAIL from 192.0.2.53:5353");
}

TEST(HostFinder, an_MX_of_unknown_address_is_left_out_while_another_is_there) {
  FinderWorld w;
  w.server().add("mx.test", "MX", "10 a.test.");
  w.server().add("mx.test", "MX", "20 b.test.");
  w.server().add("b.test", "A", "192.0.2.2");
  w.server().script = [](std::string_view name, std::string_view) {
    return name == "a.test" ? sim::NameServer::Conduct{.action = sim::NameServer::Action::fail}
                            : sim::NameServer::Conduct{};
  };
  const HostListPtr list = w.find("mx.test");
  EXPECT_EQ(w.text(list), "20 b.test 192.0.2.2:25");
  EXPECT_LE(list->good_until, w.world.now() + 10s) << "a.test is asked for again soon";
}

TEST(HostFinder, does_not_send_mail_to_ourselves) {
  FinderWorld w(1, {.hostname = "Here.test", .own_addresses = {address("192.0.2.100:25")}});
  w.server().add("here.test", "A", "192.0.2.99");
  w.server().add("we.test", "A", "192.0.2.100");
  w.server().add("better.test", "A", "192.0.2.1");
  w.server().add("worse.test", "A", "192.0.2.2");
  for (const char* domain : {"backup.test", "byname.test", "only.test"})
    w.server().add(domain, "MX",
                   domain == std::string("byname.test") ? "20 here.test." : "20 we.test.");
  w.server().add("backup.test", "MX", "10 better.test.");
  w.server().add("backup.test", "MX", "20 worse.test.");
  w.server().add("byname.test", "MX", "10 better.test.");
  w.server().add("byname.test", "MX", "30 worse.test.");
  w.server().add("only.test", "MX", "30 worse.test.");
  EXPECT_EQ(w.found("backup.test"), "10 better.test 192.0.2.1:25");
  EXPECT_EQ(w.found("byname.test"), "10 better.test 192.0.2.1:25");
  EXPECT_EQ(w.found("only.test"),
            "permanent 5.4.6 dns: only.test: mail for it would loop: its MX we.test is this host");
  EXPECT_EQ(w.found("we.test"),
            "permanent 5.4.6 dns: we.test: mail for it would loop: we.test is this host");
  EXPECT_EQ(w.found(Target{.domain = "only.test", .port = 2525}),
            "20 we.test 192.0.2.100:2525, 30 worse.test 192.0.2.2:2525")
      << "another port of our address is another server";
}

TEST(HostFinder, literals_and_addresses_need_no_DNS) {
  FinderWorld w;
  EXPECT_EQ(w.found("[192.0.2.7]"), "0 [192.0.2.7] 192.0.2.7:25");
  EXPECT_EQ(w.found("[IPv6:2001:db8::7]"), "0 [IPv6:2001:db8::7] [2001:db8::7]:25");
  EXPECT_EQ(w.found(Target{.next_hops = {"[192.0.2.7]:2525", "[2001:db8::1]", "192.0.2.9:26",
                                         "localhost:2600"},
                           .port = 587}),
            "0 192.0.2.7 192.0.2.7:2525, 1 2001:db8::1 [2001:db8::1]:587, 2 192.0.2.9 "
            "192.0.2.9:26, 3 localhost [::1]:2600, 3 localhost 127.0.0.1:2600");
  EXPECT_EQ(w.server().questions(), 0u);
}

TEST(HostFinder, next_hops_are_tried_in_the_order_of_the_list_and_have_no_MX) {
  FinderWorld w;
  w.server().add("b.test", "A", "192.0.2.2");
  w.server().add("a.test", "A", "192.0.2.1");
  w.server().add("a.test", "MX", "10 b.test.");
  EXPECT_EQ(w.found(Target{.domain = "any.test", .next_hops = {"B.test:2525", "a.test"}}),
            "0 b.test 192.0.2.2:2525, 1 a.test 192.0.2.1:25");
  EXPECT_EQ(w.server().questions("a.test", "MX"), 0u);
  EXPECT_EQ(w.server().questions("any.test", "MX"), 0u);
}

TEST(HostFinder, a_next_hop_that_leads_nowhere_bounces_no_mail) {
  FinderWorld w(1, {.own_addresses = {address("127.0.0.1:25")}});
  EXPECT_EQ(w.found(Target{.next_hops = {"absent.test"}}),
            "transient 4.3.5 dns: absent.test: the next hop has no address");
  EXPECT_EQ(w.found(Target{.next_hops = {"127.0.0.1:25"}}),
            "transient 4.3.5 dns: 127.0.0.1: the next hop is this host");
}

TEST(HostFinder, says_so_when_there_is_no_server_to_ask) {
  FinderWorld w(0);
  EXPECT_EQ(w.found("example.test"),
            "transient 4.4.3 dns: example.test: MX: there is no name server to ask");
  EXPECT_EQ(w.found("[192.0.2.7]"), "0 [192.0.2.7] 192.0.2.7:25");
}

TEST(HostFinder, turns_to_TCP_when_an_answer_is_truncated) {
  FinderWorld w;
  for (int i = 10; i < 74; ++i)
    w.server().add("big.test", "MX", std::to_string(i) + " mx" + std::to_string(i) + ".big.test.");
  for (int i = 10; i < 74; ++i)
    w.server().add("mx" + std::to_string(i) + ".big.test", "A", "192.0.2." + std::to_string(i));
  const HostListPtr list = w.find("big.test");
  ASSERT_EQ(list->hosts.size(), 64u);
  EXPECT_EQ(list->hosts[63].name, "mx73.big.test");
  EXPECT_EQ(w.server().tcp_questions(), 1u);
}

TEST(HostFinder, a_truncated_answer_without_TCP_is_no_answer) {
  FinderWorld w;
  w.server().add("example.test", "A", "192.0.2.1");
  w.server().speaks_tcp = false;
  w.server().script = [](std::string_view, std::string_view) {
    return sim::NameServer::Conduct{.action = sim::NameServer::Action::truncate};
  };
  EXPECT_EQ(w.found("example.test"),
            "transient 4.4.3 dns: example.test: MX: no answer from 192.0.2.53:5353 within 4s");
  EXPECT_EQ(w.took / 1ms, 7'000) << "rounds of 1, 2 and 4 s";
}

TEST(HostFinder, destroyed_while_it_searches_it_waits_for_its_sockets_and_calls_nobody) {
  FinderWorld w;
  w.server().script = [](std::string_view, std::string_view) {
    return sim::NameServer::Conduct{.action = sim::NameServer::Action::silent};
  };
  bool called = false;
  for (int i = 0; i < 1000; ++i)
    w.finder->find({.domain = "d" + std::to_string(i) + ".test"},
                   [&](const HostListPtr&) { called = true; });
  w.world.run_for(100ms);
  EXPECT_EQ(w.finder->searching(), 1000u);
  w.finder.reset();
  EXPECT_EQ(w.proactor.in_flight(), 0u);
  w.world.run_for(1min);
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace sluice::engine::dns
