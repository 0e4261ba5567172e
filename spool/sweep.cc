#include "spool/sweep.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace sluice::spool {

Sweep::Sweep(io::Proactor& proactor) : proactor_(proactor) {
  open_.flags = O_RDONLY;
  open_.bind<&Sweep::opened>(this);
  lock_.bind<&Sweep::locked>(this);
  unlink_.bind<&Sweep::unlinked>(this);
  close_.bind<&Sweep::closed>(this);
}

void Sweep::add(std::string path, bool may_live) {
  if (std::ranges::find(waiting_, path, &Leftover::path) != waiting_.end()) return;
  waiting_.push_back({std::move(path), may_live});
  if (!is_in_flight()) begin_next();
}

bool Sweep::is_in_flight() const {
  return open_.in_flight || lock_.in_flight || unlink_.in_flight || close_.in_flight;
}

void Sweep::begin_next() {
  open_.file = {};
  if (waiting_.empty()) return;
  Leftover next = std::move(waiting_.front());
  waiting_.pop_front();
  open_.path = unlink_.path = std::move(next.path);
  if (next.may_live)
    proactor_.submit(open_);
  else
    proactor_.submit(unlink_);
}

void Sweep::opened(io::Open&, const io::Completion& completion) {
  if (completion.result < 0) return begin_next();
  lock_.file = open_.file;
  proactor_.submit(lock_);
}

void Sweep::locked(io::Lock&, const io::Completion& completion) {
  if (completion.result < 0) return close();
  proactor_.submit(unlink_);
}

void Sweep::unlinked(io::Unlink&, const io::Completion&) {
  if (open_.file.is_open()) return close();
  begin_next();
}

void Sweep::close() {
  close_.file = open_.file;
  proactor_.submit(close_);
}

}  // namespace sluice::spool
