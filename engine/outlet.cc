#include "engine/outlet.h"

#include <algorithm>

#include "engine/session.h"
#include "engine/shard.h"
#include "io/check.h"

namespace sluice::engine {

namespace {
constexpr io::Duration read_retry_delay =
    std::chrono::seconds(60);                  // the disk failed to read a block
constexpr uint32_t recipients_per_want = 128;  // about half a block of short entries
constexpr size_t sharing_max = 8192;           // recipients in memory for it, about 1 MiB of blocks
}  // namespace

Outlet::Outlet(Shard& shard, const Route& route)
    : shard_(shard),
      route_(route),
      sources_(route.policy.source_addresses, shard.loop().proactor().random()) {}

void Outlet::set_permit(uint32_t sessions, HostPlan&& plan) {
  permit_ = sessions;
  awaits_permit_ = false;
  plan_ = std::move(plan);
  // What cannot be delivered here now may be delivered by another shard.
  if (permit_ == 0 && sessions_ == 0) give_back_all();
  shard_.mark(*this);
}

void Outlet::grant(std::unique_ptr<Batch> batch, bool is_asked) {
  if (is_asked && wants_ > 0) --wants_;  // else it was wished for before the route was forgotten
  ++grants_;
  loads_.push_back({std::make_unique<BlockLoad>(shard_.loop().proactor(), std::move(batch),
                                                static_cast<BlockLoad::Listener&>(*this))});
}

void Outlet::block_loaded(BlockLoad& block) {
  shard_.mark(*this);
  const auto load = std::ranges::find(loads_, &block, [](const Load& l) { return l.block.get(); });
  CHECK(load != loads_.end());
  const std::vector<Item>& items = block.batch().items;
  const bool is_wanted = !stopping_ && !load->is_recalled;
  if (!is_wanted || block.result() == BlockLoad::Result::unreadable)
    return give_back(*load, is_wanted ? read_retry_delay : io::Duration{});
  if (block.result() == BlockLoad::Result::ready) return wake_idle();
  for (const Item item : items)
    shard_.fates().record_unreadable(route_, *block.batch().mailing, item);
  load->next = items.size();
}

void Outlet::give_back(Load& load, io::Duration delay) {
  GiveBack back{.route = &route_, .returned = {}};
  const io::Instant due = shard_.loop().now() + delay;
  const Batch& batch = load.block->batch();
  for (; load.next < batch.items.size(); ++load.next)
    back.returned.push_back({.mailing = batch.mailing, .item = batch.items[load.next], .due = due});
  if (!back.returned.empty()) shard_.post(route_.home, std::move(back));
}

void Outlet::give_back_all() {
  for (Load& load : loads_) {
    load.is_recalled = true;
    if (load.is_ready()) give_back(load, {});
  }
  GiveBack back{.route = &route_, .returned = {}};
  for (const PutBack& p : put_back_)
    back.returned.push_back(
        {.mailing = p.mailing->shared_from_this(), .item = p.item, .due = shard_.loop().now()});
  put_back_.clear();
  if (!back.returned.empty()) shard_.post(route_.home, std::move(back));
}

Outlet::Attempt Outlet::attempt() {
  CHECK(plan_.list && !plan_.list->hosts.empty());
  Attempt attempt{plan_.list, dns::attempt_order(*plan_.list, shard_.loop().proactor().random())};
  if (plan_.suspects) {
    std::vector<uint16_t> last;
    std::erase_if(attempt.order, [&](uint16_t host) {
      const bool is_suspect = (*plan_.suspects)[host];
      if (is_suspect) last.push_back(host);
      return is_suspect;
    });
    attempt.order.insert(attempt.order.end(), last.begin(), last.end());
  }
  if (const auto probe = std::exchange(plan_.probe, std::nullopt))
    if (const auto at = std::ranges::find(attempt.order, *probe); at != attempt.order.end())
      std::rotate(attempt.order.begin(), at, at + 1);
  return attempt;
}

bool Outlet::take(Envelope& envelope, unsigned recipients_max) {
  if (stopping_ || shard_.fates().is_paused()) return false;
  if (!take_put_back(envelope, recipients_max)) return true;
  // Again only when all of a priority's were damaged.
  while (const auto priority = turns_.next(with_untaken()))
    if (take_loaded(*priority, envelope, recipients_max)) return true;
  return !envelope.is_free();
}

/// False: none was left, of those that are not damaged.
bool Outlet::take_loaded(Priority priority, Envelope& envelope, unsigned recipients_max) {
  using Joined = Envelope::Joined;
  const unsigned before = envelope.size();
  for (Load& load : loads_) {
    const Batch& batch = load.block->batch();
    if (load.priority() != priority) continue;
    for (; load.untaken() > 0 && envelope.size() < recipients_max; ++load.next) {
      const Item item = batch.items[load.next];
      const Joined joined =
          envelope.add(*batch.mailing, item, load.block->entry(load.next), load.block->letter());
      if (joined == Joined::no) {
        turns_.charge(priority, envelope.size() - before);
        return true;
      }
      if (joined == Joined::damaged) shard_.fates().record_unreadable(route_, *batch.mailing, item);
      shard_.mark(*this);
    }
  }
  turns_.charge(priority, envelope.size() - before);
  return !envelope.is_free();
}

queue::PriorityTurns::Which Outlet::with_untaken() const {
  queue::PriorityTurns::Which which{};
  for (const Load& load : loads_)
    if (load.untaken() > 0) which[queue::PriorityTurns::index(load.priority())] = true;
  return which;
}

/// False: the next belongs in another transaction.
bool Outlet::take_put_back(Envelope& envelope, unsigned recipients_max) {
  using Joined = Envelope::Joined;
  Joined joined = Joined::yes;
  size_t taken = 0;
  for (; taken < put_back_.size() && envelope.size() < recipients_max; ++taken) {
    const PutBack& back = put_back_[taken];
    joined =
        envelope.add(*back.mailing, back.item, std::as_bytes(std::span(back.entry)), back.letter);
    CHECK(joined != Joined::damaged);
    if (joined == Joined::no) break;
  }
  put_back_.erase(put_back_.begin(), put_back_.begin() + static_cast<ptrdiff_t>(taken));
  return joined == Joined::yes;
}

void Outlet::put_back(Envelope& envelope, unsigned recipient) {
  put_back_.push_back({&envelope.mailing(), envelope.item(recipient),
                       std::string(envelope.entry(recipient)), envelope.letter()});
  envelope.end(recipient);
  shard_.mark(*this);
}

void Outlet::host_failed(const io::SocketAddress& host) {
  if (!plan_.list || plan_.list->hosts.size() < 2) return;
  news_.hosts.push_back({host, false});
  shard_.mark(*this);
}

void Outlet::session_opened(const io::SocketAddress& host) {
  ++open_, ++news_.opened;
  if (plan_.suspects) news_.hosts.push_back({host, true});
  shard_.mark(*this);
}

void Outlet::session_proven() {
  ++news_.proven;
  shard_.mark(*this);
}

void Outlet::session_refused(SetbackPtr setback) {
  ++news_.refused;
  news_.setback = std::move(setback);
  awaits_permit_ = true;
  shard_.mark(*this);
}

void Outlet::session_ended(Session& session, bool was_open) {
  --sessions_;
  if (was_open) --open_;
  shard_.bury(session);
  shard_.mark(*this);
}

void Outlet::session_idles(Session& session) {
  idle_.push_back(&session);
  shard_.session_idles(session);
}

void Outlet::session_busy(Session& session) {
  std::erase(idle_, &session);
  shard_.session_busy(session);
}

size_t Outlet::untaken() const {
  size_t n = put_back_.size();
  for (const Load& load : loads_) n += load.untaken();
  return n;
}

void Outlet::wake_idle() {
  // A session that resumes leaves the list; one that finds nothing comes back to it.
  for (size_t n = idle_.size(); n > 0 && !idle_.empty() && untaken() > 0; --n)
    idle_.back()->resume();
}

void Outlet::turn_ended() {
  std::erase_if(loads_, [this](const Load& load) {
    const bool is_over = !load.is_reading() && load.next == load.block->batch().items.size();
    loads_ended_[queue::PriorityTurns::index(load.priority())] += is_over;
    return is_over;
  });
  if (permit_ == 0 && sessions_ == 0)
    give_back_all();
  else if (!stopping_ && !shard_.fates().is_paused())
    open_sessions_wanted();
  send_news();
}

void Outlet::open_sessions_wanted() {
  const size_t waiting = untaken();
  wake_idle();
  if (awaits_permit_) return;
  while (untaken() > 0 && sessions_ < permit_ && idle_.empty()) {
    Session* session = shard_.create_session(*this);
    if (session == nullptr) break;
    ++sessions_;
    session->start();
  }
  const size_t at_once = taken_at_once();
  const size_t wanted =
      waiting < at_once + recipients_per_want / 2 ? 1 + at_once / recipients_per_want : 0;
  for (; permit_ > 0 && wants_ + loads_.size() < wanted + 1 && wants_ < wanted; ++wants_)
    shard_.post(route_.home, Want{&route_, shard_.index()});
}

/// How many recipients the permitted sessions take in a turn of theirs.
size_t Outlet::taken_at_once() const {
  const bool is_shared =
      !loads_.empty() && !loads_.front().block->batch().mailing->content.is_personal();
  if (!is_shared) return permit_;
  const size_t others = route_.policy.recipients_per_transaction_max - 1;
  return permit_ + std::min(permit_ * others, sharing_max);
}

void Outlet::send_news() {
  if (is_idle()) news_.grants_ended = std::exchange(grants_, 0);
  note_loads_ended();
  if (news_.opened + news_.proven + news_.refused + news_.grants_ended == 0 &&
      news_.loads_ended == SessionNews{}.loads_ended && news_.hosts.empty() &&
      news_.open_now == open_)
    return;
  news_.route = &route_, news_.shard = shard_.index(), news_.open_now = open_;
  shard_.post(route_.home, SessionNews(std::exchange(news_, {.open_now = open_})));
}

/// The home is to know when nothing of a priority is left, not of each grant.
void Outlet::note_loads_ended() {
  queue::PriorityTurns::Which held{};
  for (const Load& load : loads_) held[queue::PriorityTurns::index(load.priority())] = true;
  for (size_t i = 0; i < priority_count; ++i)
    if (!held[i]) news_.loads_ended[i] += std::exchange(loads_ended_[i], 0);
}

bool Outlet::is_reading() const { return std::ranges::any_of(loads_, &Load::is_reading); }

void Outlet::stop() {
  stopping_ = true;
  for (Load& load : loads_)
    if (load.is_ready()) load.next = load.block->batch().items.size();
}

}  // namespace sluice::engine
