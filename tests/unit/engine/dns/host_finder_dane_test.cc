// Which hosts get a DANE policy: what DNS says, and whether it is believed.
#include <set>

#include "tests/unit/engine/dns/finder_world.h"

namespace sluice::engine::dns {
namespace {

using sim::NameServer;

/// A world with a server that is believed, and says of all names but those in `insecure` that
/// DNSSEC vouches for them.
struct SecureWorld : FinderWorld {
  explicit SecureWorld(DnssecTrust trust = DnssecTrust::yes)
      : FinderWorld(1, HostFinder::Options{.trust = trust}) {
    server().script = [this](std::string_view name, std::string_view) {
      NameServer::Conduct conduct{.is_authentic = !insecure.contains(std::string(name))};
      if (failing.contains(std::string(name))) conduct.action = NameServer::Action::fail;
      return conduct;
    };
    server().add("example.test", "MX", "10 mx.test.");
    server().add("mx.test", "A", "192.0.2.1");
    server().add("_25._tcp.mx.test", "TLSA", "3 1 1 00ff");
  }

  /// "mx.test: _25._tcp.mx.test (mx.test, example.test)", or the failure.
  std::string dane_of(const Target& target) {
    const HostListPtr list = find(target);
    if (list->failure) return list->failure->reason;
    std::string out;
    for (const Host& host : list->hosts) {
      out += (out.empty() ? "" : ", ") + host.name + ": ";
      out += host.dane ? host.dane->owner() : "none";
      if (!host.dane) continue;
      out += " (" + host.dane->base_domain;
      for (const std::string& name : host.dane->other_names)
        if (!name.empty()) out += " " + name;
      out += ")";
    }
    return out;
  }
  std::string dane(const std::string& domain) {
    return dane_of({.domain = domain, .has_dane = true});
  }

  std::set<std::string> insecure, failing;
};

TEST(HostFinderDane, finds_the_records_of_secure_hosts) {
  SecureWorld w;
  EXPECT_EQ(w.dane("example.test"), "mx.test: _25._tcp.mx.test (mx.test example.test)");
  const auto list = w.find(Target{.domain = "example.test", .has_dane = true});
  EXPECT_EQ(list->hosts[0].dane->records,
            (std::vector<tls::TlsaRecord>{{3, 1, 1, std::string("\0\xff", 2)}}));
}

TEST(HostFinderDane, asks_for_none_where_the_target_wants_none) {
  SecureWorld w;
  EXPECT_EQ(w.dane_of({.domain = "example.test"}), "mx.test: none");
  EXPECT_EQ(w.server().questions("_25._tcp.mx.test", "TLSA"), 0u);
}

TEST(HostFinderDane, asks_for_none_where_MX_or_address_is_insecure) {
  for (const char* name : {"example.test", "mx.test"}) {
    SecureWorld w;
    w.insecure = {name};
    EXPECT_EQ(w.dane("example.test"), "mx.test: none");
    EXPECT_EQ(w.server().questions("_25._tcp.mx.test", "TLSA"), 0u);
  }
}

TEST(HostFinderDane, does_not_take_insecure_records) {
  SecureWorld w;
  w.insecure = {"_25._tcp.mx.test"};
  EXPECT_EQ(w.dane("example.test"), "mx.test: none");
}

TEST(HostFinderDane, believes_a_server_that_is_elsewhere_only_where_told_to) {
  SecureWorld loopback(DnssecTrust::loopback), no(DnssecTrust::no);
  EXPECT_EQ(loopback.dane("example.test"), "mx.test: none");
  EXPECT_EQ(no.dane("example.test"), "mx.test: none");
  const auto here = address("127.8.9.1:53"), here6 = address("[::1]:53"),
             there = address("192.0.2.53:53");
  EXPECT_TRUE(is_believed(DnssecTrust::loopback, here) &&
              is_believed(DnssecTrust::loopback, here6));
  EXPECT_FALSE(is_believed(DnssecTrust::loopback, there) || is_believed(DnssecTrust::no, here));
  EXPECT_TRUE(is_believed(DnssecTrust::yes, there));
}

TEST(HostFinderDane, leaves_out_a_host_of_which_it_cannot_be_told) {
  SecureWorld w;
  w.failing = {"_25._tcp.mx.test"};
  EXPECT_EQ(w.dane("example.test"),
            "dns: example.test: TLSA _25._tcp.mx.test: SERVFAIL from 192.0.2.53:5353");
  w.server().add("example.test", "MX", "20 other.test.");
  w.server().add("other.test", "A", "192.0.2.2");
  w.world.run_for(10min);
  const auto list = w.find(Target{.domain = "example.test", .has_dane = true});
  EXPECT_EQ(w.text(list), "20 other.test 192.0.2.2:25");
  ASSERT_EQ(list->unsafe.size(), 1u);
  EXPECT_EQ(list->unsafe[0].name, "mx.test");
}

TEST(HostFinderDane, takes_silence_for_no_answer) {
  SecureWorld w;
  w.server().script = [](std::string_view, std::string_view type) {
    return NameServer::Conduct{
        .action = type == "TLSA" ? NameServer::Action::silent : NameServer::Action::answer,
        .is_authentic = true};
  };
  EXPECT_TRUE(
      w.dane("example.test").starts_with("dns: example.test: TLSA _25._tcp.mx.test: no answer"));
}

TEST(HostFinderDane, follows_aliases_of_domain_and_host) {
  SecureWorld w;
  w.server().add("www.test", "CNAME", "example.test.");
  EXPECT_EQ(w.dane("www.test"), "mx.test: _25._tcp.mx.test (mx.test www.test example.test)");
  w.server().add("alias.test", "MX", "10 name.test.");
  w.server().add("name.test", "CNAME", "mx.test.");
  EXPECT_EQ(w.dane("alias.test"), "name.test: _25._tcp.mx.test (mx.test alias.test)");
  w.server().add("own.test", "MX", "10 own-name.test.");
  w.server().add("own-name.test", "CNAME", "bare.test.");
  w.server().add("bare.test", "A", "192.0.2.3");
  w.server().add("_25._tcp.own-name.test", "TLSA", "3 1 1 00ff");
  EXPECT_EQ(w.dane("own.test"), "own-name.test: _25._tcp.own-name.test (own-name.test own.test)");
}

TEST(HostFinderDane, goes_by_the_host_itself_where_there_is_no_MX_and_for_next_hops) {
  SecureWorld w;
  w.server().add("_25._tcp.implicit.test", "TLSA", "3 1 1 00ff");
  w.server().add("implicit.test", "A", "192.0.2.4");
  EXPECT_EQ(w.dane("implicit.test"),
            "implicit.test: _25._tcp.implicit.test (implicit.test implicit.test)");
  EXPECT_EQ(w.dane_of({.next_hops = {"mx.test"}, .has_dane = true}),
            "mx.test: _25._tcp.mx.test (mx.test mx.test)");
  EXPECT_EQ(w.dane_of({.next_hops = {"mx.test:587"}, .has_dane = true}), "mx.test: none");
  EXPECT_EQ(w.dane_of({.next_hops = {"[192.0.2.1]:25"}, .has_dane = true}), "192.0.2.1: none");
}

}  // namespace
}  // namespace sluice::engine::dns
