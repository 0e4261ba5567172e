#include "engine/intake/destination_sort.h"

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>

#include "engine/intake/address.h"
#include "io/check.h"
#include "spool/campaign.h"

namespace sluice::engine::intake {
namespace {

constexpr size_t write_bytes = 1024 * 1024;
constexpr size_t domain_cost_bytes = 80;  // of one in the table of domains, about

constexpr std::array<uint8_t, 256> folded = [] {
  std::array<uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c)
    table[c] = static_cast<uint8_t>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return table;
}();

std::strong_ordering compare_folded(std::string_view a, std::string_view b) {
  const size_t both = std::min(a.size(), b.size());
  for (size_t i = 0; i < both; ++i) {
    const uint8_t x = folded[static_cast<uint8_t>(a[i])], y = folded[static_cast<uint8_t>(b[i])];
    if (x != y) return x <=> y;
  }
  return a.size() <=> b.size();
}

/// Orders as compare_folded() does, as far as eight octets go; a local part holds no NUL.
uint64_t folded_start(std::string_view local) {
  uint64_t start = 0;
  for (size_t i = 0; i < 8; ++i)
    start = start << 8 | (i < local.size() ? folded[static_cast<uint8_t>(local[i])] : 0);
  return start;
}

}  // namespace

/// What is sorted; in memory and in the spill file a head of eight octets, then the entry.
struct DestinationSort::Record {
  static constexpr size_t head_bytes = 8;

  bool is_suppression = false;
  uint8_t address_at = 0, local_bytes = 0, domain_bytes = 0;
  std::string_view entry;

  std::string_view local() const { return entry.substr(address_at, local_bytes); }
  std::string_view domain() const {
    return entry.substr(address_at + local_bytes + 1u, domain_bytes);
  }
  std::string_view address() const {
    return entry.substr(address_at, local_bytes + 1u + domain_bytes);
  }
  size_t bytes() const { return head_bytes + entry.size(); }

  void write(char* to) const {
    const auto entry_bytes = static_cast<uint32_t>(entry.size());
    const uint8_t rest[4] = {static_cast<uint8_t>(is_suppression), address_at, local_bytes,
                             domain_bytes};
    std::memcpy(to, &entry_bytes, 4);
    std::memcpy(to + 4, rest, 4);
    std::memcpy(to + head_bytes, entry.data(), entry.size());
  }
  static size_t entry_bytes(const char* from) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, from, 4);
    return bytes;
  }
  static Record read(const char* from) {
    uint8_t rest[4];
    std::memcpy(rest, from + 4, 4);
    return {rest[0] != 0, rest[1], rest[2], rest[3], {from + head_bytes, entry_bytes(from)}};
  }

  /// By domain and local part; a suppression comes before the recipients that it concerns.
  std::strong_ordering compare(const Record& other) const {
    if (const auto order = domain() <=> other.domain(); order != 0) return order;
    if (const auto order = compare_folded(local(), other.local()); order != 0) return order;
    return other.is_suppression <=> is_suppression;
  }
};

/// Stands on a record of one sorted run.
class DestinationSort::Cursor {
 public:
  virtual ~Cursor() = default;
  /// To the next record, at first to the first; false behind the last.
  virtual std::expected<bool, int> advance() = 0;
  const Record& record() const { return record_; }

 protected:
  Record record_;
};

class DestinationSort::MemoryCursor final : public Cursor {
 public:
  MemoryCursor(const char* arena, std::span<const Item> items) : arena_(arena), items_(items) {}
  std::expected<bool, int> advance() override {
    if (items_.empty()) return false;
    record_ = Record::read(arena_ + items_.front().record);
    items_ = items_.subspan(1);
    return true;
  }

 private:
  const char* arena_;
  std::span<const Item> items_;
};

class DestinationSort::SpilledCursor final : public Cursor {
 public:
  SpilledCursor(const SpillFile& file, Run run, size_t buffer_bytes)
      : file_(file), run_(run), buffer_(std::min<uint64_t>(buffer_bytes, run.bytes)) {}

  std::expected<bool, int> advance() override {
    if (begin_ == end_ && run_.bytes == 0) return false;
    if (auto done = need(Record::head_bytes); !done) return std::unexpected(done.error());
    const size_t bytes = Record::head_bytes + Record::entry_bytes(buffer_.data() + begin_);
    if (auto done = need(bytes); !done) return std::unexpected(done.error());
    record_ = Record::read(buffer_.data() + begin_);
    begin_ += bytes;
    return true;
  }

 private:
  std::expected<void, int> need(size_t bytes) {
    if (end_ - begin_ >= bytes) return {};
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    if (buffer_.size() < bytes) buffer_.resize(bytes);
    const auto more =
        std::span(buffer_).subspan(end_, std::min<uint64_t>(buffer_.size() - end_, run_.bytes));
    if (auto done = file_.read(run_.offset, more); !done) return done;
    run_.offset += more.size();
    run_.bytes -= more.size();
    end_ += more.size();
    CHECK(end_ >= bytes);  // the file is ours alone, and of this process
    return {};
  }

  const SpillFile& file_;
  Run run_;  // what of it is not in the buffer yet
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
};

/// For the heap, whose top is the cursor that no other comes before.
struct DestinationSort::After {
  const DestinationSort& sort;
  bool operator()(size_t a, size_t b) const { return sort.comes_before(b, a); }
};

DestinationSort::DestinationSort(size_t memory_bytes, std::string folder)
    : memory_bytes_(std::min<size_t>(memory_bytes, UINT32_MAX) / sizeof(Item) * sizeof(Item)),
      folder_(std::move(folder)),
      arena_(std::make_unique_for_overwrite<char[]>(memory_bytes_)) {}

DestinationSort::~DestinationSort() = default;

std::expected<void, int> DestinationSort::add(std::string_view entry, std::string_view address,
                                              size_t local_bytes) {
  CHECK(address.size() > local_bytes && address[local_bytes] == '@' &&
        address.size() <= address_bytes_max);
  const auto address_at = static_cast<size_t>(address.data() - entry.data());
  CHECK(address_at <= UINT8_MAX && address_at + address.size() <= entry.size());
  return add_record({.address_at = static_cast<uint8_t>(address_at),
                     .local_bytes = static_cast<uint8_t>(local_bytes),
                     .domain_bytes = static_cast<uint8_t>(address.size() - local_bytes - 1),
                     .entry = entry});
}

std::expected<void, int> DestinationSort::suppress(std::string_view address) {
  const size_t at = address.rfind('@');
  CHECK(at != address.npos && address.size() <= address_bytes_max + 1);
  return add_record({.is_suppression = true,
                     .local_bytes = static_cast<uint8_t>(at),
                     .domain_bytes = static_cast<uint8_t>(address.size() - at - 1),
                     .entry = address});
}

size_t DestinationSort::memory_used() const {
  return records_bytes_ + items_ * sizeof(Item) + domains_.size() * domain_cost_bytes;
}

std::expected<void, int> DestinationSort::add_record(const Record& record) {
  const size_t wanted = record.bytes() + sizeof(Item) + domain_cost_bytes;
  if (memory_used() + wanted > memory_bytes_ && items_ > 0) {
    if (auto done = spill_run(); !done) return done;
  }
  CHECK(wanted <= memory_bytes_);
  char* place = arena_.get() + records_bytes_;
  record.write(place);
  const Record kept = Record::read(place);
  const auto [domain, is_new] =
      domain_numbers_.try_emplace(kept.domain(), static_cast<uint32_t>(domains_.size()));
  if (is_new) domains_.push_back(kept.domain());
  ++items_;
  new (arena_.get() + memory_bytes_ - items_ * sizeof(Item))
      Item{.domain = domain->second,
           .record = static_cast<uint32_t>(records_bytes_),
           .local_start = folded_start(kept.local())};
  records_bytes_ += record.bytes();
  return {};
}

std::span<DestinationSort::Item> DestinationSort::items() {
  return {reinterpret_cast<Item*>(arena_.get() + memory_bytes_) - items_, items_};
}

void DestinationSort::sort_run() {
  std::vector<uint32_t> by_name(domains_.size()), rank(domains_.size());
  for (uint32_t i = 0; i < by_name.size(); ++i) by_name[i] = i;
  std::ranges::sort(by_name, {}, [&](uint32_t domain) { return domains_[domain]; });
  for (uint32_t i = 0; i < by_name.size(); ++i) rank[by_name[i]] = i;
  for (Item& item : items()) item.domain = rank[item.domain];
  std::ranges::sort(items(), [&](const Item& a, const Item& b) {
    if (a.domain != b.domain) return a.domain < b.domain;
    if (a.local_start != b.local_start) return a.local_start < b.local_start;
    const auto order =
        Record::read(arena_.get() + a.record).compare(Record::read(arena_.get() + b.record));
    return order != 0 ? order < 0 : a.record < b.record;
  });
}

std::expected<void, int> DestinationSort::spill_run() {
  if (!spill_) {
    auto file = SpillFile::create(folder_);
    if (!file) return std::unexpected(file.error());
    spill_.emplace(std::move(*file));
  }
  sort_run();
  Run run{.offset = runs_.empty() ? 0 : runs_.back().offset + runs_.back().bytes, .bytes = 0};
  std::vector<char> out;
  out.reserve(write_bytes);
  const auto flush = [&]() -> std::expected<void, int> {
    auto done = spill_->write(run.offset + run.bytes, out);
    run.bytes += out.size();
    out.clear();
    return done;
  };
  for (const Item& item : items()) {
    const char* record = arena_.get() + item.record;
    const size_t bytes = Record::read(record).bytes();
    if (out.size() + bytes > write_bytes) {
      if (auto done = flush(); !done) return done;
    }
    out.insert(out.end(), record, record + bytes);
  }
  if (auto done = flush(); !done) return done;
  runs_.push_back(run);
  records_bytes_ = items_ = 0;
  domain_numbers_.clear();
  domains_.clear();
  return {};
}

std::expected<void, int> DestinationSort::finish() {
  sort_run();
  domain_numbers_ = {};
  domains_ = {};
  const size_t buffer_bytes =
      std::clamp<size_t>(merge_bytes / (runs_.size() + 1), 16 * 1024, 1024 * 1024);
  for (const Run& run : runs_)
    cursors_.push_back(std::make_unique<SpilledCursor>(*spill_, run, buffer_bytes));
  cursors_.push_back(std::make_unique<MemoryCursor>(arena_.get(), items()));
  for (size_t i = 0; i < cursors_.size(); ++i) {
    const auto more = cursors_[i]->advance();
    if (!more) return std::unexpected(more.error());
    if (*more) heap_.push_back(i);
  }
  std::ranges::make_heap(heap_, After{*this});
  return {};
}

bool DestinationSort::comes_before(size_t a, size_t b) const {
  const auto order = cursors_[a]->record().compare(cursors_[b]->record());
  return order != 0 ? order < 0 : a < b;
}

std::expected<std::optional<DestinationSort::Sorted>, int> DestinationSort::next() {
  for (;;) {
    if (must_advance_) {
      std::ranges::pop_heap(heap_, After{*this});
      const auto more = cursors_[heap_.back()]->advance();
      if (!more) return std::unexpected(more.error());
      if (*more) {
        std::ranges::push_heap(heap_, After{*this});
      } else {
        heap_.pop_back();
      }
    }
    must_advance_ = !heap_.empty();
    if (heap_.empty()) return std::nullopt;
    const Record& record = cursors_[heap_.front()]->record();
    if (!is_dropped(record))
      return Sorted{.domain = record.domain(), .address = record.address(), .entry = record.entry};
  }
}

bool DestinationSort::is_dropped(const Record& record) {
  if (record.is_suppression && record.local_bytes == 0) {
    suppressed_domain_ = record.domain();
    return true;
  }
  if (!record.is_suppression && record.domain() == suppressed_domain_) {
    ++suppressed_;
    return true;
  }
  const std::string_view last = last_address_;
  const bool is_again = last.size() > last_local_bytes_ &&
                        last.substr(last_local_bytes_ + 1) == record.domain() &&
                        compare_folded(last.substr(0, last_local_bytes_), record.local()) == 0;
  if (is_again && !record.is_suppression) {
    ++(last_is_suppression_ ? suppressed_ : duplicates_);
    return true;
  }
  last_address_ = record.address();
  last_local_bytes_ = record.local_bytes;
  last_is_suppression_ = record.is_suppression;
  return record.is_suppression;
}

}  // namespace sluice::engine::intake
