#include "engine/intake/errands.h"

#include <string.h>

#include <utility>

#include "io/check.h"
#include "io/uring.h"
#include "spool/rule_files.h"

namespace sluice::engine::intake {

Errands::Errands(unsigned shards, std::string spool) : spool_(std::move(spool)) {
  for (unsigned i = 0; i < shards; ++i) desks_.push_back(std::make_unique<Desk>());
}

std::expected<void, std::string> Errands::start() {
  thread_ = std::jthread([this] { work(); });
  opened_.wait();
  if (!failure_.empty()) return std::unexpected(failure_);
  return {};
}

void Errands::stop(io::Proactor& from) {
  stopping_.store(true, std::memory_order_release);
  if (!proactor_) return;
  proactor_->wake(from);
  from.wait(io::Instant{}, 1);  // sends it
  stopped_.count_down();
  thread_.join();
}

bool Errands::run(unsigned shard, Errand&& errand) {
  Desk& desk = *desks_[shard];
  if (desk.waiting == errands_max || !desk.errands.push(std::move(errand))) return false;
  ++desk.waiting;
  proactor_->wake(*desk.proactor);
  return true;
}

std::optional<ErrandResult> Errands::result(unsigned shard) {
  Desk& desk = *desks_[shard];
  auto result = desk.results.pop();
  if (result) --desk.waiting;
  return result;
}

void Errands::work() {
  auto ring = io::open_uring({.entries = 64, .sockets_max = 1, .receive_buffers = 1});
  if (ring)
    proactor_ = std::move(*ring);
  else
    failure_ = ring.error().message;
  opened_.count_down();
  if (!proactor_) return;
  for (bool was_busy = true; !stopping_.load(std::memory_order_acquire);) {
    proactor_->wait(was_busy ? io::Instant{} : io::never, 64);
    was_busy = false;
    for (const auto& desk : desks_) was_busy |= serve(*desk);
  }
  stopped_.wait();  // whoever wakes it has done so
  proactor_.reset();
}

bool Errands::serve(Desk& desk) {
  std::optional<Errand> errand = desk.errands.pop();
  if (!errand) return false;
  ErrandResult result;
  if (errand->users)
    result = check_password(*errand);
  else
    result.outcome = hand_off(*errand);
  result.number = errand->number;
  explicit_bzero(errand->credentials.password.data(), errand->credentials.password.size());
  CHECK(desk.results.push(std::move(result)));  // no more are due than it has room for
  desk.proactor->wake(*proactor_);
  return true;
}

ErrandResult Errands::check_password(const Errand& errand) {
  using enum ErrandResult::Outcome;
  if (!failures_.may_try(errand.client, proactor_->now())) return {.outcome = later};
  const smtp::Credentials& credentials = errand.credentials;
  if (errand.users->check(credentials.user, credentials.password)) {
    failures_.right(errand.client);
    return {.outcome = done};
  }
  return {.outcome = refused, .delay = failures_.wrong(errand.client, proactor_->now())};
}

ErrandResult::Outcome Errands::hand_off(const Errand& errand) {
  for (const std::string& rule : errand.rules)
    if (!spool::hand_off_rule(*proactor_, spool_, rule)) return ErrandResult::Outcome::refused;
  return ErrandResult::Outcome::done;
}

}  // namespace sluice::engine::intake
