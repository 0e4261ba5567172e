#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "engine/dns/host_finder.h"
#include "io/check.h"
#include "tests/sim/world/name_server.h"

namespace sluice::engine::dns {

using namespace std::chrono_literals;

inline io::SocketAddress address(const std::string& text) {
  return *io::SocketAddress::parse(text);
}

/// A shard's loop with a finder on it, name servers, and the words the tests are written in.
struct FinderWorld {
  explicit FinderWorld(size_t servers = 1, HostFinder::Options given = {}, uint64_t seed = 1)
      : world(seed), proactor(world.start().proactor()), loop(proactor) {
    for (size_t i = 0; i < servers; ++i) {
      const auto at = address("192.0.2." + std::to_string(53 + i) + ":5353");
      given.servers.push_back(at);
      names.push_back(std::make_unique<sim::NameServer>(world, at));
    }
    options = given;
    finder = std::make_unique<HostFinder>(loop, std::move(given));
    proactor.drive([this] { loop.turn(); });
  }
  ~FinderWorld() {
    finder.reset();
    EXPECT_EQ(proactor.in_flight(), 0u);
    proactor.stop_driving();
  }

  sim::NameServer& server(size_t i = 0) { return *names.at(i); }

  /// The loop reads the clock, as it has when the engine calls find().
  void turn() { world.run_for(100us); }

  HostListPtr find(const Target& target) {
    turn();
    HostListPtr found;
    finder->find(target, [&](HostListPtr list) {
      EXPECT_FALSE(found);
      found = std::move(list);
    });
    EXPECT_FALSE(found) << "called back from within find()";
    const io::Instant began = world.now();
    EXPECT_TRUE(world.run_until([&] { return found != nullptr; }, world.now() + 10min));
    took = world.now() - began;
    CHECK(found);
    EXPECT_EQ(found->hosts.empty(), found->failure.has_value());
    return found;
  }
  HostListPtr find(const std::string& domain) { return find(Target{.domain = domain}); }

  /// "10 mx1.test 192.0.2.1:25, 20 ..." or "permanent 5.1.2 dns: ...".
  std::string text(const HostListPtr& list) {
    std::string text;
    if (list->failure) {
      const Failure& f = *list->failure;
      text = f.result == smtp::Result::permanent ? "permanent " : "transient ";
      text += std::to_string(f.enhanced.status) + "." + std::to_string(f.enhanced.subject) + "." +
              std::to_string(f.enhanced.detail) + " " + f.reason;
      return text;
    }
    for (const Host& host : list->hosts)
      text += (text.empty() ? "" : ", ") + std::to_string(host.preference) + " " + host.name + " " +
              host.address.text();
    return text;
  }
  template <class T>
  std::string found(const T& target) {
    return text(find(target));
  }

  sim::World world;
  sim::SimulatedProactor& proactor;
  io::EventLoop loop;
  std::vector<std::unique_ptr<sim::NameServer>> names;
  HostFinder::Options options;
  std::unique_ptr<HostFinder> finder;
  io::Duration took{};
};

}  // namespace sluice::engine::dns
