#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "engine/message.h"
#include "engine/queue/deadlines.h"
#include "engine/queue/source.h"
#include "engine/queue/source_turns.h"

namespace sluice::engine::queue {

/// What of a queue was never lent, as sources: those that wait for their turn, those that are held,
/// and those on their way out. Each knows when it expires and when its senders are to be told that
/// it waits. Costs are those of sources, whatever the number of recipients.
class Backlog {
 public:
  /// Why sources are on their way out: what is to be told of their recipients. Those `delayed` come
  /// back as recipients.
  enum class Leaving : uint8_t { expired, exhausted, cancelled, delayed };

  explicit Backlog(const DestinationPolicy& policy) : policy_(policy) {}

  /// Recipients, ascending, that know of `setbacks` of the queue; each where `orders` want it.
  /// Letters come one by one: to those of their segment and flow that wait alike, if there are any.
  void add(MailingPtr mailing, std::vector<Range> ranges, int32_t setbacks, const Orders& orders,
           const Now& now);
  /// Recipients of one that was taken out.
  void add(const Source& whole, const Orders& orders);
  /// Other orders for a mailing. O(sources).
  void steer(const Mailing& mailing, const Orders& orders);
  /// Those that wait or are held, of the mailings concerned. O(sources).
  std::list<Source> take_out(const std::function<bool(const Mailing&)>& is_concerned);

  /// Those whose time is over go to Leaving::expired, those whose senders are to be told to
  /// Leaving::delayed.
  void expire(const Now& now);
  void warn(const Now& now);
  /// Those that wait and know of no more than so many setbacks go to Leaving::exhausted.
  void exhaust(int64_t setbacks);

  const std::list<Source>& waiting() const { return waiting_; }
  SourceTurns& turns() { return turns_; }
  const SourceTurns& turns() const { return turns_; }

  /// At most `items_max` recipients of one block, of the source whose turn it is. nullptr: none of
  /// this priority waits.
  std::unique_ptr<Batch> next(Priority priority, uint32_t items_max);
  /// The same of those on their way out.
  std::unique_ptr<Batch> next(Leaving why);
  bool has(Leaving why) const { return !leaving_[index(why)].empty(); }

  /// Recipients in all; of these held.
  uint64_t size() const { return size_; }
  uint64_t held() const { return held_size_; }
  io::Instant next_expiry() const { return earliest(expiries_); }
  io::Instant next_warning() const { return earliest(warnings_); }

 private:
  using Sources = std::list<Source>;
  using Times = std::map<std::pair<io::Instant, const Source*>, Sources::iterator>;

  static constexpr size_t index(Leaving why) { return static_cast<size_t>(why); }
  static io::Instant earliest(const Times& times) {
    return times.empty() ? io::never : times.begin()->first.first;
  }
  using LettersKey = std::pair<const Mailing*, Flow>;

  static LettersKey key_of(const Source& letters) { return {&letters.mailing(), letters.flow()}; }
  Source source_of(MailingPtr mailing, Flow flow, std::vector<Range>&& ranges, int32_t setbacks,
                   const Now& now) const;
  bool join(LettersKey letters, const std::vector<Range>& ranges, int32_t setbacks);
  void add_part(const Source& whole, std::vector<Range>&& ranges, Sources& to);
  Sources::iterator move(Sources::iterator source, Sources& to);
  void move_older(Sources::iterator source, io::Duration age, Leaving why, const Now& now);
  std::unique_ptr<Batch> next_of(Sources& sources, Sources::iterator source, uint32_t items_max);
  void forget(const Source& source);

  const DestinationPolicy& policy_;
  Sources waiting_, held_;
  std::array<Sources, 4> leaving_;                  // by Leaving
  SourceTurns turns_;                               // of waiting_
  Times expiries_, warnings_;                       // of waiting_ and held_
  std::map<LettersKey, Sources::iterator> newest_;  // of waiting_: what others may join
  uint64_t size_ = 0, held_size_ = 0;
};

}  // namespace sluice::engine::queue
