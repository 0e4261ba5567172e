#include "engine/queue/wait_notes.h"

#include <utility>

namespace sluice::engine::queue {

WaitNotes::Whom WaitNotes::whom(const Mailing& mailing, uint32_t one, uint16_t attempts) {
  if (!mailing.letters) return {mailing.campaign->info().uid, 0};
  return {mailing.campaign->info().uid, attempts == 0 ? UINT32_MAX : one};
}

void WaitNotes::restore(const MailingPtr& mailing, const Waited& waited) {
  notes_[whom(*mailing, waited.one, waited.attempts)] = {mailing, waited.one, waited.attempts,
                                                         round_};
}

void WaitNotes::setback(const Waited& setback) {
  ++round_;
  setback_ = setback;
  is_round_due_ = true;
  is_row_over_ = false;  // the note of this one tells how long the row is
}

bool WaitNotes::is_round_due() {
  if (!std::exchange(is_round_due_, false)) return false;
  std::erase_if(notes_, [](const auto& entry) { return entry.second.mailing.expired(); });
  return true;
}

void WaitNotes::note(const Mailing& mailing, uint32_t one, uint16_t attempts) {
  const auto [it, is_new] = notes_.try_emplace(whom(mailing, one, attempts));
  Note& note = it->second;
  if (!is_new && note.round == round_ && note.attempts >= attempts) return;
  note = {mailing.weak_from_this(), one, attempts, round_, false};
  is_unwritten_ = true;
}

void WaitNotes::end_row(io::WallTime at) {
  is_row_over_ = true;
  row_over_at_ = at;
}

void WaitNotes::write(const Write& write) {
  const auto write_one = [&](const Note& note, Waited waited) {
    waited.one = note.one, waited.attempts = note.attempts;
    if (const MailingPtr mailing = note.mailing.lock()) write(*mailing, waited);
  };
  if (std::exchange(is_unwritten_, false))
    for (auto& [whom, note] : notes_)
      if (!std::exchange(note.is_written, true)) write_one(note, setback_);
  if (!std::exchange(is_row_over_, false)) return;
  for (const auto& [whom, note] : notes_)
    write_one(note, {.at = row_over_at_, .until = row_over_at_});
  notes_.clear();
  setback_ = {};
}

}  // namespace sluice::engine::queue
