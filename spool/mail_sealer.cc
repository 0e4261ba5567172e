#include "spool/mail_sealer.h"

#include <utility>
#include <vector>

#include "spool/mail_index.h"

namespace sluice::spool {

/// What is to be done to one segment, one operation after the other.
struct MailSealer::Chore {
  Chore(MailSealer& of, std::shared_ptr<MailSegment> of_segment)
      : sealer(of), segment(std::move(of_segment)) {
    write.file = datasync.file = truncate.file = close.file = segment->file();
    unlink.path = segment->path();
    write.bind<&Chore::done<io::Write>>(this);
    datasync.bind<&Chore::done<io::Datasync>>(this);
    truncate.bind<&Chore::done<io::Truncate>>(this);
    close.bind<&Chore::done<io::CloseFile>>(this);
    unlink.bind<&Chore::done<io::Unlink>>(this);
  }

  template <class Step>
  void done(Step& step, const io::Completion& completion) {
    io::Op& op = step;
    if (completion.result < 0 && &op == &write) {  // without the index, then
      index.clear();
      truncate.size = segment->bytes();
      steps = {&truncate};
    }
    next();
  }
  void next() {
    if (steps.empty()) return end();
    io::Op* const step = steps.back();
    steps.pop_back();
    sealer.proactor_.submit(*step);
  }
  void end() {
    const auto kept = std::move(segment);
    const uint64_t bytes = truncate.size;
    const bool has_index = !index.empty();
    MailSealer& of = sealer;
    of.chores_.erase(self);
    if (kept->blocks() == 0) return;
    if (has_index) kept->publish(bytes);
    kept->seal();
    of.sealed_(kept);
  }

  MailSealer& sealer;
  std::list<Chore>::iterator self;
  std::shared_ptr<MailSegment> segment;
  std::vector<std::byte> index;
  io::Write write;
  io::Datasync datasync;
  io::Truncate truncate;
  io::CloseFile close;
  io::Unlink unlink;
  std::vector<io::Op*> steps;  // the next one last
};

MailSealer::MailSealer(io::Proactor& proactor, Sealed sealed)
    : proactor_(proactor), sealed_(std::move(sealed)) {}

MailSealer::~MailSealer() {
  while (!chores_.empty()) proactor_.wait(io::never, 64);
}

void MailSealer::seal(std::shared_ptr<MailSegment> segment, Salt salt, bool is_sound) {
  const auto chore = chores_.emplace(chores_.end(), *this, std::move(segment));
  chore->self = chore;
  const MailSegment& of = *chore->segment;
  chore->truncate.size = of.bytes();
  if (of.blocks() == 0) {
    chore->steps = {&chore->unlink, &chore->close};
  } else if (is_sound) {
    chore->index = encode_mail_index(of, salt);
    chore->write.offset = of.bytes();
    chore->write.bytes = chore->index;
    chore->truncate.size += chore->index.size();
    chore->steps = {&chore->truncate, &chore->datasync, &chore->write};
  } else {
    chore->steps = {&chore->truncate};
  }
  chore->next();
}

}  // namespace sluice::spool
