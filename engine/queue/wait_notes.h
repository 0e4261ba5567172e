#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "engine/message.h"

namespace sluice::engine::queue {

/// What a restart is to know of a queue whose connections come to nothing, one after another
/// (spool/FORMAT.md section 5.2). One note does for all of a mailing's recipients here: those who
/// were never tried by themselves have the same number of attempts, and what the others waited for
/// follows from when. Of letters each speaks of those up to the one it names.
class WaitNotes {
 public:
  using Write = std::function<void(const Mailing&, const Waited&)>;

  /// Of an earlier run, which wrote it.
  void restore(const MailingPtr& mailing, const Waited& waited);
  /// A connection came to nothing. `setback.one` and `attempts` are each note's own.
  void setback(const Waited& setback);
  /// Has this not been asked since the last setback? Then each who waits is to be noted.
  bool is_round_due();
  /// `one` of the mailing's recipients waits; `attempts` count for those of whom nothing else is
  /// known.
  void note(const Mailing& mailing, uint32_t one, uint16_t attempts);
  /// A connection was taken: the row is over.
  void end_row(io::WallTime at);
  /// A row goes on, of this run.
  bool is_in_row() const { return setback_.refusals > 0; }

  /// What is not written yet.
  void write(const Write& write);

 private:
  struct Note {
    std::weak_ptr<const Mailing> mailing;
    uint32_t one = 0;
    uint16_t attempts = 0;
    uint32_t round = 0;  // when it was taken
    bool is_written = true;
  };
  /// The mailing's uid, and, where letters join while others wait, the last of whom it speaks.
  using Whom = std::pair<uint64_t, uint32_t>;
  static Whom whom(const Mailing& mailing, uint32_t one, uint16_t attempts);

  std::map<Whom, Note> notes_;  // who waits since the row began
  Waited setback_;              // the row's last, of this run
  uint32_t round_ = 0;          // setbacks so far
  bool is_round_due_ = false;
  bool is_unwritten_ = false;  // some note
  bool is_row_over_ = false;   // which is not written
  io::WallTime row_over_at_{};
};

}  // namespace sluice::engine::queue
