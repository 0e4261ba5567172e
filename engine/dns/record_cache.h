#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/dns/record_set.h"

namespace sluice::engine::dns {

/// Record sets by name and type, each until its time is over; when full, the one unused for longest
/// goes. A set is packed: what it costs is its octets and about 100 more.
class RecordCache {
 public:
  explicit RecordCache(uint32_t entries_max);
  RecordCache(const RecordCache&) = delete;
  RecordCache& operator=(const RecordCache&) = delete;
  ~RecordCache();

  /// `name` in lower case without a final dot.
  std::optional<RecordSet> find(std::string_view name, RecordType type, io::Instant now);
  void put(std::string_view name, RecordType type, const RecordSet& set);

  size_t entries() const { return entries_; }
  /// What the entries occupy, the allocator's own not counted.
  size_t octets() const { return octets_ + buckets_.capacity() * sizeof(Entry*); }

 private:
  struct Entry;
  Entry** place(std::string_view name, RecordType type, uint32_t hash);
  void remove(Entry** place);
  void unlink(Entry& entry);
  void link_as_newest(Entry& entry);
  void grow();

  const uint32_t entries_max_;
  std::vector<Entry*> buckets_;  // a power of two; entries chained
  Entry *newest_ = nullptr, *oldest_ = nullptr;
  size_t entries_ = 0, octets_ = 0;
};

}  // namespace sluice::engine::dns
