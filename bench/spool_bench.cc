// What the spool costs: a record, a group commit, recovery, a campaign written and opened. On the
// file system of the temporary folder (TMPDIR).

#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "io/uring.h"
#include "spool/campaign.h"
#include "spool/journal.h"
#include "spool/outcome_record.h"
#include "spool/recovery.h"

namespace {

using namespace sluice;

spool::Bytes octets(std::string_view text) { return std::as_bytes(std::span(text)); }

/// A folder of its own and a ring.
struct Place {
  Place() {
    std::string name = std::filesystem::temp_directory_path() / "spool-bench-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::perror(name.c_str()), std::exit(1);
    folder = name;
    std::filesystem::create_directory(folder + "/journal");
    auto opened = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
    if (!opened) std::fprintf(stderr, "%s\n", opened.error().message.c_str()), std::exit(1);
    ring = std::move(*opened);
  }
  ~Place() {
    ring.reset();
    std::filesystem::remove_all(folder);
  }
  std::string folder;
  std::unique_ptr<io::Proactor> ring;
};

struct Listener : spool::Journal::Listener {
  void journal_committed(uint64_t position) override { committed = position; }
  void journal_stalled(const spool::Error& error) override {
    std::fprintf(stderr, "%s\n", error.message.c_str());
  }
  void journal_resumed() override {}
  uint64_t committed = 0;
};

spool::Outcome fate(uint32_t i) {
  return {.campaign = 1,
          .recipient = i * 2654435761u % 1'000'000,
          .attempt = 1,
          .kind = spool::OutcomeKind::delivered};
}

void record_append(benchmark::State& state) {
  std::vector<std::byte> out;
  const std::string payload(static_cast<size_t>(state.range(0)), 'x');
  spool::SegmentWriter writer(out, spool::Salt::from(1));
  for (auto _ : state) {
    if (out.size() > (1 << 20)) out.clear();
    writer.record(spool::RecordType::block, 1, octets(payload));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(record_append)->Arg(16)->Arg(256)->Arg(16384);

void encode_commit(benchmark::State& state) {
  std::vector<std::byte> out;
  std::vector<spool::Outcome> outcomes;
  for (auto _ : state) {
    out.clear(), outcomes.clear();
    for (uint32_t i = 0; i < state.range(0); ++i) outcomes.push_back(fate(i));
    spool::SegmentWriter writer(out, spool::Salt::from(1));
    spool::encode_commit(writer, 1, outcomes);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["octets/fate"] =
      static_cast<double>(out.size()) / static_cast<double>(state.range(0));
}
BENCHMARK(encode_commit)->Arg(1)->Arg(10)->Arg(100)->Arg(1000);

void group_commit(benchmark::State& state) {
  Place place;
  io::EventLoop loop(*place.ring);
  Listener listener;
  const auto journal = spool::Journal::create(loop, place.folder, 0, 1, {}, listener);
  uint32_t i = 0;
  for (auto _ : state) {
    uint64_t position = 0;
    for (int64_t n = 0; n < state.range(0); ++n) position = journal->append(fate(i++));
    journal->commit();
    while (listener.committed < position) loop.turn();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(group_commit)
    ->Arg(1)
    ->Arg(20)
    ->Arg(200)
    ->Arg(2000)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void recovery(benchmark::State& state) {
  Place place;
  {
    io::EventLoop loop(*place.ring);
    Listener listener;
    const auto journal = spool::Journal::create(loop, place.folder, 0, 1, {}, listener);
    uint64_t position = 0;
    for (uint32_t i = 0; i < state.range(0); ++i) {
      position = journal->append(fate(i));
      if (i % 1000 != 999) continue;
      journal->commit();
      while (listener.committed < position) loop.turn();
    }
  }
  for (auto _ : state) {
    const auto recovered = spool::recover_journal(*place.ring, place.folder, true);
    if (!recovered || !recovered->damages.empty()) state.SkipWithError("recovery failed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(recovery)->Arg(1'000'000)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

void write_campaign(spool::CampaignWriter& writer, int64_t recipients, int64_t per_group) {
  char entry[64];
  for (int64_t i = 0; i < recipients; ++i) {
    if (i % per_group == 0 && !writer.begin_group(std::to_string(i) + ".example")) std::abort();
    const int bytes = std::snprintf(entry, sizeof entry, "someone%08ld@destination.example,Name",
                                    static_cast<long>(i));
    if (!writer.add(octets({entry, static_cast<size_t>(bytes)}))) std::abort();
  }
}

void campaign_write(benchmark::State& state) {
  Place place;
  uint64_t n = 0, bytes = 0;
  for (auto _ : state) {
    auto writer =
        spool::CampaignWriter::create(*place.ring, place.folder, {.id = std::to_string(n++)});
    if (!writer) std::abort();
    write_campaign(**writer, state.range(0), 1000);
    const auto committed = (*writer)->commit(octets("message"));
    if (!committed) std::abort();
    bytes = committed->bytes;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["octets/recipient"] =
      static_cast<double>(bytes) / static_cast<double>(state.range(0));
}
BENCHMARK(campaign_write)
    ->Arg(1'000'000)
    ->Iterations(5)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Each recipient has a destination of its own: the most groups there can be.
void campaign_open(benchmark::State& state) {
  Place place;
  {
    auto writer = spool::CampaignWriter::create(*place.ring, place.folder, {.id = "wide"});
    if (!writer) std::abort();
    write_campaign(**writer, state.range(0), 1);
    if (!(*writer)->commit(octets("message"))) std::abort();
  }
  for (auto _ : state) {
    std::shared_ptr<const spool::Campaign> campaign;
    spool::open_campaign(*place.ring, place.folder + "/campaigns/wide",
                         [&](auto opened) { campaign = std::move(opened->campaign); });
    while (!campaign) place.ring->wait(io::never, 64);
    io::CloseFile close;
    close.file = campaign->file();
    io::run(*place.ring, close);
  }
}
BENCHMARK(campaign_open)->Arg(1'000'000)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
