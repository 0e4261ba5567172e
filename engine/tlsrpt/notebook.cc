#include "engine/tlsrpt/notebook.h"

#include "engine/tlsrpt/reporter.h"

namespace sluice::engine::tlsrpt {

Notebook::Notebook(io::EventLoop& loop, unsigned shard, Reporter* reporter, report::Counter& lost)
    : loop_(loop), shard_(shard), reporter_(reporter), lost_(lost) {
  timer_.bind<&Notebook::hand_over>(this);
}

void Notebook::note(const TlsOutcome& outcome) {
  if (reporter_ == nullptr || outcome.domain.empty() || outcome.domain.starts_with('[')) return;
  if (batch_.size() == batch_max) return lost_.add();
  if (batch_.empty()) loop_.timers().arm(timer_, loop_.now() + gather_time);
  batch_.push_back(Outcome::of(outcome));
  if (batch_.size() == batch_max) hand_over();
}

/// Where there is no room the timer comes again.
void Notebook::hand_over() {
  if (batch_.empty()) return;
  while (reporter_->reply(shard_)) {
  }
  if (!reporter_->ask(shard_, std::move(batch_)))
    return loop_.timers().arm(timer_, loop_.now() + gather_time);
  batch_.clear();
  loop_.timers().cancel(timer_);
}

}  // namespace sluice::engine::tlsrpt
