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
}  // namespace

void Outlet::set_permit(uint32_t sessions) {
  permit_ = sessions;
  // What cannot be delivered here now may be delivered by another shard.
  if (permit_ == 0 && sessions_ == 0)
    for (auto& load : loads_)
      if (load->is_ready) give_back(*load, {});
  shard_.mark(*this);
}

void Outlet::grant(std::unique_ptr<Batch> batch) {
  CHECK(wants_ > 0);
  --wants_;
  const spool::Campaign& campaign = *batch->mailing->campaign;
  const spool::BlockRef ref = campaign.block(batch->block);
  auto load = std::make_unique<Load>();
  load->outlet = this;
  load->batch = std::move(batch);
  load->record.resize(ref.bytes);
  load->read.bind<&Load::loaded>(load.get());
  load->read.file = campaign.file();
  load->read.offset = ref.offset;
  load->read.bytes = load->record;
  shard_.loop().proactor().submit(load->read);
  loads_.push_back(std::move(load));
}

void Outlet::Load::loaded(io::Read&, const io::Completion& completion) {
  outlet->loaded(*this, completion.result);
}

void Outlet::loaded(Load& load, int32_t result) {
  shard_.mark(*this);
  load.is_ready = true;
  if (result < 0 || stopping_)
    return give_back(load, result < 0 ? read_retry_delay : io::Duration{});
  const spool::BlockRef ref = load.batch->mailing->campaign->block(load.batch->block);
  const std::vector<Item>& items = load.batch->items;
  load.entries.reserve(items.size());
  const bool is_whole =
      static_cast<size_t>(result) == load.record.size() &&
      spool::visit_block(ref, load.record, [&](uint32_t number, spool::Bytes entry) {
        if (load.entries.size() < items.size() && items[load.entries.size()].number == number)
          load.entries.push_back(entry);
      });
  if (is_whole && load.entries.size() == items.size()) return wake_idle();
  for (const Item item : items)
    shard_.fates().record_unreadable(route_, *load.batch->mailing, item);
  load.next = items.size();
}

void Outlet::give_back(Load& load, io::Duration delay) {
  GiveBack back{.route = &route_, .returned = {}};
  const io::Instant due = shard_.loop().now() + delay;
  for (; load.next < load.batch->items.size(); ++load.next)
    back.returned.push_back({load.batch->mailing, load.batch->items[load.next], due});
  if (!back.returned.empty()) shard_.post(route_.home, std::move(back));
}

bool Outlet::take(Held& held) {
  if (stopping_ || shard_.fates().is_paused()) return false;
  if (!put_back_.empty()) {
    PutBack& back = put_back_.back();
    CHECK(held.hold(*back.mailing, back.item, std::as_bytes(std::span(back.entry))));
    put_back_.pop_back();
    return true;
  }
  for (auto& load : loads_) {
    if (!load->is_ready) continue;
    while (load->next < load->batch->items.size()) {
      const size_t i = load->next++;
      shard_.mark(*this);
      if (held.hold(*load->batch->mailing, load->batch->items[i], load->entries[i])) return true;
      shard_.fates().record_unreadable(route_, *load->batch->mailing, load->batch->items[i]);
    }
  }
  return false;
}

void Outlet::put_back(Held& held) {
  put_back_.push_back({held.mailing, held.item, held.entry});
  held.release();
  shard_.mark(*this);
}

void Outlet::session_opened() {
  ++open_, ++news_.opened;
  shard_.mark(*this);
}

void Outlet::session_proven() {
  ++news_.proven;
  shard_.mark(*this);
}

void Outlet::session_refused() {
  ++news_.refused;
  shard_.mark(*this);
}

void Outlet::session_ended(Session& session, bool was_open) {
  --sessions_;
  if (was_open) --open_;
  shard_.bury(session);
  shard_.mark(*this);
}

size_t Outlet::untaken() const {
  size_t n = put_back_.size();
  for (const auto& load : loads_)
    if (load->is_ready) n += load->batch->items.size() - load->next;
  return n;
}

void Outlet::wake_idle() {
  // A session that resumes leaves the list; one that finds nothing comes back to it.
  for (size_t n = std::min(idle_.size(), untaken()); n > 0 && !idle_.empty(); --n)
    idle_.back()->resume();
}

void Outlet::turn_ended() {
  std::erase_if(loads_, [](const auto& load) {
    return load->is_ready && load->next == load->batch->items.size();
  });
  const size_t waiting = untaken();
  if (permit_ == 0 && sessions_ == 0) {
    for (auto& load : loads_)
      if (load->is_ready) give_back(*load, {});
    GiveBack back{.route = &route_, .returned = {}};
    for (PutBack& p : put_back_)
      back.returned.push_back({p.mailing->shared_from_this(), p.item, shard_.loop().now()});
    put_back_.clear();
    if (!back.returned.empty()) shard_.post(route_.home, std::move(back));
  } else if (!stopping_ && !shard_.fates().is_paused()) {
    wake_idle();
    for (size_t n = untaken(); n > 0 && sessions_ < permit_ && idle_.empty(); --n) {
      Session* session = shard_.create_session(*this);
      if (session == nullptr) break;
      ++sessions_;
      session->start();
    }
    const size_t wanted =
        waiting < permit_ + recipients_per_want / 2 ? 1 + permit_ / recipients_per_want : 0;
    for (; permit_ > 0 && wants_ + loads_.size() < wanted + 1 && wants_ < wanted; ++wants_)
      shard_.post(route_.home, Want{&route_, shard_.index()});
  }
  if (news_.opened + news_.proven + news_.refused > 0 || news_.open_now != open_) {
    news_.route = &route_, news_.shard = shard_.index(), news_.open_now = open_;
    shard_.post(route_.home, SessionNews(news_));
    news_.opened = news_.proven = news_.refused = 0;
  }
}

bool Outlet::is_reading() const {
  return std::ranges::any_of(loads_, [](const auto& load) { return !load->is_ready; });
}

void Outlet::stop() {
  stopping_ = true;
  for (auto& load : loads_)
    if (load->is_ready) load->next = load->batch->items.size();
}

}  // namespace sluice::engine
