// Prints what the engine's HostFinder makes of domains, asked of real name servers:
//
//   find_hosts SERVER[,SERVER...] [--hostname NAME] DOMAIN...
//
// One line a domain: `example.test: 10 mx.example.test 192.0.2.1:25, ... (good for 300s)`, or its
// failure. All are asked for at once, each twice.

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dns/host_finder.h"
#include "io/event_loop.h"
#include "io/uring.h"

namespace {

using namespace sluice;
using engine::dns::HostFinder;
using engine::dns::HostListPtr;

[[noreturn]] void fail(const std::string& message) {
  fmt::print(stderr, "find_hosts: {}\n", message);
  std::exit(64);
}

std::vector<io::SocketAddress> parse_servers(std::string_view text) {
  std::vector<io::SocketAddress> servers;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    const auto server = io::SocketAddress::parse(one, 53);
    if (!server) fail(server.error());
    servers.push_back(*server);
    text.remove_prefix(std::min(one.size() + 1, text.size()));
  }
  return servers;
}

std::string describe(const HostListPtr& list, io::Instant now) {
  if (list->failure) {
    const auto& f = *list->failure;
    return fmt::format("{} {}.{}.{} {}",
                       f.result == engine::smtp::Result::permanent ? "permanent" : "transient",
                       f.enhanced.status, f.enhanced.subject, f.enhanced.detail, f.reason);
  }
  std::string text;
  for (const auto& host : list->hosts)
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", host.preference, host.name,
                        host.address.text());
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(
      list->good_until - now + std::chrono::milliseconds(500));
  return fmt::format("{} (good for {}s)", text, left.count());
}

}  // namespace

int main(int argc, char** argv) {
  HostFinder::Options options;
  std::vector<std::string> domains;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (i == 1)
      options.servers = parse_servers(argument);
    else if (argument == "--hostname" && i + 1 < argc)
      options.hostname = argv[++i];
    else
      domains.emplace_back(argument);
  }
  if (domains.empty()) fail("usage: find_hosts SERVER[,SERVER...] [--hostname NAME] DOMAIN...");

  auto ring = io::open_uring({.entries = 256, .sockets_max = 256, .receive_buffers = 256});
  if (!ring) fail(ring.error().message);
  io::EventLoop loop(**ring);
  HostFinder finder(loop, std::move(options));
  size_t left = domains.size() * 2;
  std::vector<std::string> lines(domains.size());
  for (size_t i = 0; i < domains.size() * 2; ++i) {
    const size_t at = i % domains.size();
    finder.find({.domain = domains[at]}, [&, at](const HostListPtr& list) {
      --left;
      lines[at] = fmt::format("{}: {}", domains[at], describe(list, loop.now()));
    });
  }
  while (left > 0) loop.turn();
  for (const std::string& line : lines) fmt::print("{}\n", line);
  const auto counts = finder.statistics();
  fmt::print("{} questions, {} look-ups\n", counts.questions, counts.look_ups);
}
