#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "io/clock.h"

namespace sluice::engine::intake {

/// How fast each client may hand messages over: as a token bucket of what a minute brings, and of
/// burst_min messages at least. Shared by the shards, without a lock: what is known of a client is
/// one instant, that at which its bucket is full again (GCRA), and one that has passed says nothing
/// any more, so its place is free. 128 KiB, however many clients come: where too many are busy at
/// once those nearest to a full bucket are forgotten, in their favour. Two shards that count the
/// same client's first messages in the same moment may count one of them only.
class ClientRates {
 public:
  static constexpr double burst_min = 10;

  /// 0: no limit.
  explicit ClientRates(double messages_per_s);

  /// May `client` (its address, its name) hand over one more, `now`? Zero: yes, and it is counted;
  /// else how long it has to wait. O(1).
  io::Duration take(std::string_view client, io::Instant now);

 private:
  struct Place {
    std::atomic<uint64_t> client{0};  // a hash
    std::atomic<int64_t> full_at_ns{0};
  };
  static constexpr size_t sets = 1024, ways = 8;
  using Set = std::array<Place, ways>;

  Place& place_of(uint64_t client, int64_t now_ns);

  int64_t message_ns_ = 0, bucket_ns_ = 0;
  std::unique_ptr<std::array<Set, sets>> places_;  // null: no limit
};

}  // namespace sluice::engine::intake
