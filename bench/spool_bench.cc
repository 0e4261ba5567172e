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
#include "spool/mail_recovery.h"
#include "spool/mail_writer.h"
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
    std::filesystem::create_directory(folder + "/mail");
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

struct MailListener : spool::MailWriter::Listener {
  void mail_durable(uint64_t first_ticket, uint32_t count,
                    const std::shared_ptr<const spool::MailSegment>& segment, uint32_t) override {
    durable = first_ticket + count - 1;
    if (segments.empty() || segments.back() != segment) segments.push_back(segment);
  }
  void mail_sealed(const std::shared_ptr<const spool::MailSegment>&) override {}
  void mail_stalled(const spool::Error& error) override {
    std::fprintf(stderr, "%s\n", error.message.c_str()), std::exit(1);
  }
  void mail_resumed() override {}
  /// Unlinks segments but the last one, so that the disk does not fill.
  void finish(io::Proactor& proactor, size_t but = 1) {
    for (; segments.size() > but; segments.erase(segments.begin())) {
      io::CloseFile close;
      close.file = segments.front()->file();
      io::run(proactor, close);
      std::filesystem::remove(segments.front()->path());
    }
  }
  uint64_t durable = 0;
  std::vector<std::shared_ptr<const spool::MailSegment>> segments;
};

uint64_t append_mail(spool::MailWriter& writer, size_t bytes) {
  static const std::string content(1 << 20, 'x');
  static const spool::MailRecipient to[] = {
      {"destination.example", octets("someone@destination.example")}};
  const spool::Bytes pieces[] = {octets(content).first(bytes)};
  const auto ticket =
      writer.append({octets("sender@origin.example"), "origin.example", to, pieces});
  return ticket ? *ticket : 0;
}

/// Messages of 10 KB, so many at a time: each waits for its commit before the next comes.
void mail_commit(benchmark::State& state) {
  Place place;
  io::EventLoop loop(*place.ring);
  MailListener listener;
  auto writer = std::make_unique<spool::MailWriter>(loop, place.folder, 0, 1, listener);
  for (auto _ : state) {
    uint64_t ticket = 0;
    for (int64_t n = 0; n < state.range(0); ++n) ticket = append_mail(*writer, 10'000);
    writer->commit();
    while (listener.durable < ticket) loop.turn();
    if (listener.segments.size() > 2) {
      state.PauseTiming();
      listener.finish(*place.ring);
      state.ResumeTiming();
    }
  }
  writer.reset();
  listener.finish(*place.ring, 0);
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * state.range(0) * 10'000);
}
BENCHMARK(mail_commit)
    ->Arg(1)
    ->Arg(8)
    ->Arg(64)
    ->Arg(200)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void mail_append(benchmark::State& state) {
  const std::string content(static_cast<size_t>(state.range(0)), 'x');
  const spool::MailRecipient to[] = {
      {"destination.example", octets("someone@destination.example")}};
  const spool::Bytes pieces[] = {octets(content)};
  std::vector<std::byte> out;
  for (auto _ : state) {
    if (out.size() > (1 << 20)) out.clear();
    const size_t begin = out.size();
    spool::encode_mail(out, {octets("sender@origin.example"), "origin.example", to, pieces}, {});
    spool::seal_mail(std::span(out).subspan(begin), spool::Salt::from(1), begin, 0,
                     [](uint64_t, size_t, const spool::Mail&) {});
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(mail_append)->Arg(1'000)->Arg(10'000)->Arg(100'000);

/// A segment of 64 MiB in messages of 10 KB: by its index, or by its messages as after a kill.
void mail_recovery(benchmark::State& state) {
  Place place;
  io::EventLoop loop(*place.ring);
  MailListener listener;
  {
    spool::MailWriter writer(loop, place.folder, 0, 1, listener);
    for (int i = 0; i < 100; ++i) {
      uint64_t ticket = 0;
      for (int n = 0; n < 64; ++n) ticket = append_mail(writer, 10'000);
      writer.commit();
      while (listener.durable < ticket) loop.turn();
    }
  }
  const auto segment = listener.segments.at(0);
  if (state.range(0) == 0)
    std::filesystem::resize_file(segment->path(), segment->bytes() - 1);  // the index is torn
  for (auto _ : state) {
    auto recovered = spool::recover_mail(*place.ring, place.folder, true);
    if (!recovered || !recovered->damages.empty()) std::abort();
    for (const auto& found : recovered->segments) {
      io::CloseFile close;
      close.file = found->file();
      io::run(*place.ring, close);
    }
  }
  listener.finish(*place.ring, 0);
  state.SetItemsProcessed(state.iterations() * segment->blocks());
}
BENCHMARK(mail_recovery)
    ->ArgName("index")
    ->Arg(1)
    ->Arg(0)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

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
