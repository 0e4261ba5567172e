// Rows a second of what a hand-off does before it writes: reading CSV, checking addresses, sorting
// by destination.

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "engine/intake/address.h"
#include "engine/intake/destination_sort.h"
#include "engine/intake/recipient_list.h"

namespace sluice::engine::intake {
namespace {

constexpr size_t rows = 200'000;

/// A list of `rows` rows of about 50 octets at `domains` destinations, as a file that goes with it.
class ListOnDisk {
 public:
  ListOnDisk(bool as_json, size_t domains) {
    std::string text = as_json ? "" : "email,name,token\n";
    for (size_t i = 0; i < rows; ++i) {
      text += fmt::format(fmt::runtime(as_json ? "{{\"email\":\"user{}@d{}.example\",\"name\":"
                                                 "\"Name, {}\",\"token\":\"tok{:08}\"}}\n"
                                               : "user{}@d{}.example,\"Name, {}\",tok{:08}\n"),
                          i, i * 7919 % domains, i, i);
    }
    path_ = "/tmp/intake-bench-XXXXXX";
    const int descriptor = ::mkstemp(path_.data());
    if (descriptor < 0 ||
        ::write(descriptor, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      std::perror(path_.c_str());
    ::close(descriptor);
  }
  ~ListOnDisk() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void read_list(benchmark::State& state, bool as_json) {
  const ListOnDisk file(as_json, 100);
  for (auto _ : state) {
    auto list = RecipientList::open(file.path());
    ListEntry entry;
    size_t read = 0;
    while ((*list)->next(entry) == RecipientList::Status::entry) ++read;
    if (read != rows) state.SkipWithError("not all rows were read");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rows));
}
BENCHMARK_CAPTURE(read_list, csv, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(read_list, json_lines, true)->Unit(benchmark::kMillisecond);

void normalise(benchmark::State& state) {
  std::string out;
  for (auto _ : state) {
    benchmark::DoNotOptimize(normalise_address("some.body+news@mail.Example.org", out));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(normalise);

/// Arguments: octets of memory, destinations.
void read_and_sort(benchmark::State& state) {
  const ListOnDisk file(false, static_cast<size_t>(state.range(1)));
  size_t runs = 0;
  for (auto _ : state) {
    auto list = RecipientList::open(file.path());
    DestinationSort sort(static_cast<size_t>(state.range(0)), "/tmp");
    ListEntry entry;
    while ((*list)->next(entry) == RecipientList::Status::entry) {
      if (!sort.add(entry.encoded, entry.address, entry.local_bytes))
        state.SkipWithError("no room to sort");
    }
    if (!sort.finish()) state.SkipWithError("no room to sort");
    size_t sorted = 0;
    for (auto next = sort.next(); next && *next; next = sort.next()) ++sorted;
    if (sorted != rows) state.SkipWithError("not all rows were sorted");
    runs = sort.runs();
  }
  state.counters["runs"] = static_cast<double>(runs);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(rows));
}
BENCHMARK(read_and_sort)
    ->Args({DestinationSort::memory_bytes_default, 100})
    ->Args({DestinationSort::memory_bytes_default, 50'000})
    ->Args({2 * 1024 * 1024, 100})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::engine::intake
