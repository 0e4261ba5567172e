#include "engine/ender.h"

#include <algorithm>

#include "engine/fates.h"
#include "io/check.h"

namespace sluice::engine {

namespace {
constexpr io::Duration read_retry_delay = std::chrono::seconds(60);
}

void Ender::end(const Route& route, std::unique_ptr<Batch> batch, const queue::Ending& ending) {
  Work& work = works_.emplace_back(Work{&route, ending, nullptr});
  work.load = std::make_unique<BlockLoad>(loop_.proactor(), std::move(batch),
                                          static_cast<BlockLoad::Listener&>(*this));
}

void Ender::block_loaded(BlockLoad& load) {
  const auto work = std::ranges::find(works_, &load, [](const Work& w) { return w.load.get(); });
  CHECK(work != works_.end());
  const spool::OutcomeKind kind = work->ending.kind;
  std::vector<Returned> returned;
  switch (load.result()) {
    case BlockLoad::Result::reading: CHECK(false);
    case BlockLoad::Result::unreadable:
      returned = waiting(*work, loop_.now() + read_retry_delay, work->ending.why);
      break;
    case BlockLoad::Result::damaged:
      for (const Item item : load.batch().items)
        fates_.record_unreadable(*work->route, *load.batch().mailing, item);
      break;
    case BlockLoad::Result::ready:
      for (size_t i = 0; i < load.batch().items.size(); ++i)
        end_one(*work, load.batch().items[i], load.entry(i));
      if (work->ending.is_delay)
        returned = waiting(*work, loop_.now(), work->ending.why);
      else if (kind == spool::OutcomeKind::deferred)
        returned = waiting(*work, loop_.now(), nullptr);
      else if (kind == spool::OutcomeKind::intent)
        returned = waiting(*work, io::never, nullptr);  // but for expiry
  }
  const Route& route = *work->route;
  works_.erase(work);
  owner_.ended(route, std::move(returned));
}

std::vector<Returned> Ender::waiting(const Work& work, io::Instant due,
                                     const SetbackPtr& why) const {
  std::vector<Returned> returned;
  for (const Item item : work.load->batch().items)
    returned.push_back({.mailing = work.load->batch().mailing,
                        .item = item,
                        .is_held_in_doubt = work.ending.kind == spool::OutcomeKind::intent,
                        .due = due,
                        .why = why});
  return returned;
}

void Ender::end_one(const Work& work, Item item, spool::Bytes entry_bytes) {
  const Mailing& mailing = *work.load->batch().mailing;
  const queue::Ending& ending = work.ending;
  if (!held_.hold(mailing, item, entry_bytes, work.load->letter()))
    return fates_.record_unreadable(*work.route, mailing, item);
  report::LogEntry entry;
  held_.describe(entry, message_id_);
  if (ending.kind == spool::OutcomeKind::intent || ending.kind == spool::OutcomeKind::in_doubt) {
    entry.has_stage = true;
    entry.stage = smtp::Stage::final_dot;
    entry.reason = "final_dot: the engine ended before it read the reply";
  } else if (const Setback* why = ending.why.get()) {
    // What DNS says for good is the attempt itself.
    if (why->is_final && ending.kind == spool::OutcomeKind::failed) ++item.attempts;
    entry.has_stage = true;
    entry.stage = why->stage;
    entry.host = why->host;
    if (!why->remote.is_none()) entry.remote = &why->remote;
    entry.code = why->code;
    entry.enhanced = why->enhanced;
    entry.text = why->text;
    entry.reason = why->reason;
    entry.phases_us = why->phases_us;
  } else if (ending.kind == spool::OutcomeKind::expired) {
    entry.reason = "expired before it could be tried";
  }
  if (ending.is_delay)
    fates_.record_delay(*work.route, held_, item, ending.until, entry);
  else if (ending.kind == spool::OutcomeKind::deferred)
    fates_.tell_waiting(*work.route, mailing, item, ending.until, entry);
  else if (ending.kind == spool::OutcomeKind::intent)
    fates_.tell_held(*work.route, mailing, item, entry);
  else
    fates_.record(*work.route, held_, item, {.kind = ending.kind}, ending.why, entry);
  held_.release();
}

}  // namespace sluice::engine
