// What a line of the transaction log costs the shard that writes it: under 1 us for about 600
// octets.
#include <benchmark/benchmark.h>

#include <string>

#include "engine/report/log_line.h"

namespace sluice::engine::report {
namespace {

void delivered_line(benchmark::State& state) {
  const auto remote = io::SocketAddress::parse("192.0.2.7:25").value();
  const auto local = io::SocketAddress::parse("198.51.100.23:48231").value();
  LogEntry entry{.event = Event::delivered,
                 .time = io::WallTime(std::chrono::seconds(1795238864)),
                 .id = "5f3a9c1e22d04b17.100000",
                 .campaign = "newsletter-2026-11-21",
                 .sender = "bounce+100000@news.example",
                 .recipient = "ann.example+news@mail.example.net",
                 .message_id = "<5f3a9c1e22d04b17.100000@news.example>",
                 .bytes = 10240,
                 .attempt = 1,
                 .has_stage = true,
                 .stage = smtp::Stage::final_dot,
                 .host = "mx1.mail.example.net",
                 .remote = &remote,
                 .local = &local,
                 .code = 250,
                 .enhanced = {2, 0, 0},
                 .text = "2.0.0 Ok: queued as 4FzT3k1Wq9z9rxR"};
  entry.phases_us = {0, 12412, 20931, 18122, 0, 0, 0, 512, 901, 1200, 44121, 0, 0, 0};
  LogLineWriter writer;
  std::string out;
  size_t bytes = 0;
  for (auto _ : state) {
    if (out.size() > 1024 * 1024) out.clear();
    entry.time += std::chrono::microseconds(20);
    const size_t before = out.size();
    writer.append(out, entry);
    bytes += out.size() - before;
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.counters["line_bytes"] =
      static_cast<double>(bytes) / static_cast<double>(state.iterations());
}
BENCHMARK(delivered_line);

}  // namespace
}  // namespace sluice::engine::report
