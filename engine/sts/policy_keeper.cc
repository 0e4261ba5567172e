#include "engine/sts/policy_keeper.h"

#include <algorithm>
#include <utility>

namespace sluice::engine::sts {

PolicyKeeper::PolicyKeeper(unsigned shards, const std::string& spool)
    : Office(shards, {.entries = 256, .sockets_max = 2 * downloads_max, .receive_buffers = 64}),
      folder_(spool) {}

void PolicyKeeper::opened() {
  loop_ = std::make_unique<io::EventLoop>(proactor());
  for (auto& [domain, kept] : folder_.load(proactor().wall())) book_.put(domain, std::move(kept));
}

void PolicyKeeper::turn() {
  loop_->turn(waiters_.empty() ? io::never : waiters_[0].until);
  for (const auto& desk : desks())
    while (auto question = desk->questions.pop()) take(*desk, std::move(*question));
  take_fetches();
  start_fetches();
  answer_overdue();
  // A download may have failed as it began.
  if (std::ranges::any_of(fetches_, [](const auto& f) {
        return f.second.download && f.second.download->is_over();
      }))
    loop_->request_turn();
  proactor().wait(io::Instant{}, 0);  // wakes those who were answered
}

void PolicyKeeper::closing() {
  for (const auto& [domain, fetch] : fetches_)
    if (fetch.download) fetch.download->abandon();
  const auto is_under_way = [](const auto& f) {
    return f.second.download && !f.second.download->is_over();
  };
  while (std::ranges::any_of(fetches_, is_under_way)) loop_->turn();
  fetches_.clear();
  loop_.reset();
}

void PolicyKeeper::take(Desk& desk, Question&& question) {
  const std::string& domain = question.source.domain;
  const PolicyBook::Advice advice = book_.ask(domain, question.id, proactor().wall());
  if (advice.must_fetch && !question.source.addresses.empty())
    fetches_.try_emplace(domain, Fetch{question.source, *question.id, nullptr});
  if (!advice.is_stale || !fetches_.contains(domain)) return advise(desk, question);
  waiters_.push_back({&desk, std::move(question), proactor().now() + answer_within});
}

void PolicyKeeper::start_fetches() {
  for (auto& [domain, fetch] : fetches_) {
    if (downloads_ == downloads_max) return;
    if (fetch.download) continue;
    fetch.download = std::make_unique<Download>(*loop_, fetch.source);
    ++downloads_;
  }
}

void PolicyKeeper::take_fetches() {
  for (auto at = fetches_.begin(); at != fetches_.end();) {
    Fetch& fetch = at->second;
    if (!fetch.download || !fetch.download->is_over()) {
      ++at;
      continue;
    }
    --downloads_;
    Fetched fetched = fetch.download->result();
    const std::string domain = at->first, id = fetch.id;
    at = fetches_.erase(at);
    ended(domain, id, std::move(fetched));
  }
}

void PolicyKeeper::ended(const std::string& domain, const std::string& id, Fetched&& fetched) {
  const io::WallTime now = proactor().wall();
  if (fetched.fault.fault == Fault::none) {
    book_.fetched(domain, id, std::move(fetched.policy), now);
    // A disk that refuses costs a restart another download.
    folder_.write(domain, *book_.find(domain));
  } else {
    book_.failed(domain, id, std::move(fetched.fault), now);
  }
  for (const Waiter& waiter : waiters_)
    if (waiter.question.source.domain == domain) advise(*waiter.desk, waiter.question);
  std::erase_if(waiters_, [&](const Waiter& w) { return w.question.source.domain == domain; });
}

void PolicyKeeper::answer_overdue() {
  const auto end = std::ranges::find_if(
      waiters_, [&](const Waiter& waiter) { return waiter.until > proactor().now(); });
  for (auto waiter = waiters_.begin(); waiter != end; ++waiter)
    advise(*waiter->desk, waiter->question);
  waiters_.erase(waiters_.begin(), end);
}

void PolicyKeeper::advise(Desk& desk, const Question& question) {
  Reply reply{.number = question.number,
              .finding = book_.ask(question.source.domain, question.id, proactor().wall()).finding};
  if (!reply.finding.policy && reply.finding.fault == Fault::none && question.id)
    reply.finding = {.fault = Fault::fetch,
                     .reason = "sts: mta-sts." + question.source.domain +
                               (question.source.addresses.empty() ? ": has no address"
                                                                  : ": has not answered yet")};
  answer(desk, std::move(reply));
}

}  // namespace sluice::engine::sts
