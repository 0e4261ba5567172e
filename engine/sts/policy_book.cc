#include "engine/sts/policy_book.h"

#include <algorithm>
#include <utility>

namespace sluice::engine::sts {

PolicyBook::Advice PolicyBook::ask(const std::string& domain, const std::optional<std::string>& id,
                                   io::WallTime now) {
  const auto found = entries_.find(domain);
  const Entry* const entry = found == entries_.end() ? nullptr : &found->second;
  const bool is_in_force = entry && entry->kept.policy && now < entry->kept.expires;
  Advice advice;
  if (is_in_force) advice.finding.policy = entry->kept.policy;
  if (!id) return advice;
  const bool has_failed = entry && entry->fault_id == *id && now < entry->retry_at;
  advice.is_stale = !is_in_force || entry->kept.id != *id;
  if (has_failed && !is_in_force) advice.finding = entry->fault;
  advice.must_fetch = !has_failed && (advice.is_stale || now >= entry->kept.fetched + fresh_for);
  return advice;
}

void PolicyBook::put(const std::string& domain, KeptPolicy&& kept) {
  entry(domain) = {.kept = std::move(kept)};
}

void PolicyBook::fetched(const std::string& domain, const std::string& id, Policy&& policy,
                         io::WallTime now) {
  const io::WallTime expires = now + std::chrono::seconds(policy.max_age_s);
  put(domain, {std::make_shared<const Policy>(std::move(policy)), id, now, expires});
}

void PolicyBook::failed(const std::string& domain, const std::string& id, Finding&& fault,
                        io::WallTime now) {
  Entry& at = entry(domain);
  at.fault = std::move(fault);
  at.fault_id = id;
  at.retry_at = now + failure_for;
}

const KeptPolicy* PolicyBook::find(const std::string& domain) const {
  const auto found = entries_.find(domain);
  return found == entries_.end() || !found->second.kept.policy ? nullptr : &found->second.kept;
}

PolicyBook::Entry& PolicyBook::entry(const std::string& domain) {
  if (const auto found = entries_.find(domain); found != entries_.end()) return found->second;
  if (entries_.size() == entries_max)
    entries_.erase(std::ranges::min_element(entries_, {},
                                            [](const auto& e) { return e.second.kept.expires; }));
  return entries_[domain];
}

}  // namespace sluice::engine::sts
