#include "spool/reclaimer.h"

#include <algorithm>

namespace sluice::spool {

struct Reclaimer::Chore {
  explicit Chore(Reclaimer& r) : reclaimer(r) {
    truncate.bind<&Chore::done<io::Truncate>>(this);
    close.bind<&Chore::done<io::CloseFile>>(this);
    unlink.bind<&Chore::done<io::Unlink>>(this);
  }

  template <class Step>
  void done(Step&, const io::Completion&) {
    next();
  }
  void next() {
    if (steps.empty()) return void(reclaimer.chores_.erase(self));
    io::Op* const step = steps.back();
    steps.pop_back();
    reclaimer.proactor_.submit(*step);
  }

  Reclaimer& reclaimer;
  std::list<Chore>::iterator self;
  io::Truncate truncate;
  io::CloseFile close;
  io::Unlink unlink;
  std::vector<io::Op*> steps;  // the next one last
};

Reclaimer::Reclaimer(io::Proactor& proactor, std::vector<SealedSegment> sealed)
    : proactor_(proactor), sealed_(std::move(sealed)) {
  for (const SealedSegment& s : sealed_) bytes_ += s.bytes;
  unlink_idle();
}

Reclaimer::~Reclaimer() {
  while (!chores_.empty()) proactor_.wait(io::never, 64);
}

void Reclaimer::start(std::list<Chore>::iterator chore) {
  chore->self = chore;
  chore->next();
}

void Reclaimer::seal(io::File file, SealedSegment segment) {
  const auto chore = chores_.emplace(chores_.end(), *this);
  chore->close.file = file;
  if (segment.campaigns.empty()) {
    chore->unlink.path = std::move(segment.path);
    chore->steps = {&chore->unlink, &chore->close};
  } else {
    chore->truncate.file = file;
    chore->truncate.size = segment.bytes;
    chore->steps = {&chore->close, &chore->truncate};
    bytes_ += segment.bytes;
    sealed_.push_back(std::move(segment));
  }
  start(chore);
}

void Reclaimer::campaign_finished(uint64_t uid) {
  for (SealedSegment& s : sealed_) std::erase(s.campaigns, uid);
  unlink_idle();
}

void Reclaimer::unlink_idle() {
  std::erase_if(sealed_, [this](SealedSegment& s) {
    if (!s.campaigns.empty()) return false;
    bytes_ -= s.bytes;
    const auto chore = chores_.emplace(chores_.end(), *this);
    chore->unlink.path = std::move(s.path);
    chore->steps = {&chore->unlink};
    start(chore);
    return true;
  });
}

}  // namespace sluice::spool
