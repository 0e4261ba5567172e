// Look-ups a second of distinct domains against a real name server, and what the cache holds of
// them:
//
//   dns_look_ups SERVER COUNT [AT_ONCE]
//
// Finds the hosts of d0.bench.test to d(COUNT-1).bench.test, AT_ONCE at a time (0: all), then all
// of them again from the cache. bench/dns.sh starts a server that knows them.

#include <fmt/format.h>
#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "engine/dns/host_finder.h"
#include "io/event_loop.h"
#include "io/uring.h"

namespace {

using namespace sluice;
using engine::dns::HostFinder;
using engine::dns::HostListPtr;

struct Run {
  double seconds = 0;
  size_t found = 0, failed = 0;
  std::string first_failure;
};

Run find_all(io::EventLoop& loop, HostFinder& finder, size_t count, size_t at_once) {
  Run run;
  size_t begun = 0;
  const auto ended = [&] { return run.found + run.failed; };
  const auto begin = std::chrono::steady_clock::now();
  while (ended() < count) {
    for (; begun < count && (at_once == 0 || begun - ended() < at_once); ++begun)
      finder.find({.domain = fmt::format("d{}.bench.test", begun)}, [&](const HostListPtr& list) {
        ++(list->failure ? run.failed : run.found);
        if (list->failure && run.first_failure.empty()) run.first_failure = list->failure->reason;
      });
    loop.turn();
  }
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

}  // namespace

int main(int argc, char** argv) {
  const auto server = argc > 2 ? io::SocketAddress::parse(argv[1], 53)
                               : std::unexpected(std::string("usage: dns_look_ups SERVER COUNT "
                                                             "[AT_ONCE]"));
  if (!server) return fmt::print(stderr, "{}\n", server.error()), 64;
  const size_t count = std::strtoul(argv[2], nullptr, 10);
  const size_t at_once = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 0;

  auto ring = io::open_uring();
  if (!ring) return fmt::print(stderr, "{}\n", ring.error().message), 69;
  io::EventLoop loop(**ring);
  HostFinder finder(loop, {.servers = {*server}, .cache_entries_max = 1u << 20});
  const size_t heap = mallinfo2().uordblks;
  const Run cold = find_all(loop, finder, count, at_once);
  const size_t grown = mallinfo2().uordblks - heap;
  const auto counts = finder.statistics();
  const Run warm = find_all(loop, finder, count, at_once);

  fmt::print("{} domains: {} found, {} failed{}{}\n", count, cold.found, cold.failed,
             cold.failed ? ", first: " : "", cold.first_failure);
  fmt::print("cold  {:.3f} s, {:.0f} domains/s, {:.0f} questions/s ({} questions, {} timeouts)\n",
             cold.seconds, static_cast<double>(count) / cold.seconds,
             static_cast<double>(counts.questions) / cold.seconds, counts.questions,
             counts.timeouts);
  fmt::print("warm  {:.3f} s, {:.0f} domains/s\n", warm.seconds,
             static_cast<double>(count) / warm.seconds);
  fmt::print("cache {} entries, {:.0f} octets each as counted, {:.0f} of heap\n",
             counts.cache_entries,
             static_cast<double>(counts.cache_octets) / static_cast<double>(counts.cache_entries),
             static_cast<double>(grown) / static_cast<double>(counts.cache_entries));
  return cold.failed == 0 ? 0 : 1;
}
