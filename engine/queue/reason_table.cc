#include "engine/queue/reason_table.h"

#include <functional>
#include <string_view>
#include <tuple>
#include <utility>

#include "io/check.h"

namespace sluice::engine::queue {

namespace {

auto sayings(const Setback& s) {
  return std::tuple(s.is_final, s.stage, s.code, s.enhanced.status, s.enhanced.subject,
                    s.enhanced.detail, std::string_view(s.text), std::string_view(s.reason),
                    std::string_view(s.host));
}

bool say_the_same(const Setback& a, const Setback& b) {
  return sayings(a) == sayings(b) && a.remote == b.remote;
}

size_t hash_of(const Setback& s) {
  size_t hash = static_cast<size_t>(s.code) << 8 | static_cast<size_t>(s.stage);
  for (const std::string_view part : {std::string_view(s.text), std::string_view(s.reason)})
    hash = hash * 0x9e3779b97f4a7c15 + std::hash<std::string_view>()(part);
  return hash;
}

constexpr std::string_view lost = "the answer is not kept: too many different ones wait";

}  // namespace

ReasonTable::Index ReasonTable::take(const SetbackPtr& why) {
  if (!why) return none;
  Index index = find_or_add(*why, whole_max);
  if (index == none)
    index = find_or_add({.stage = why->stage,
                         .code = why->code,
                         .enhanced = why->enhanced,
                         .text = {},
                         .reason = std::string(lost)},
                        2 * whole_max);
  if (index == none)
    index = find_or_add({.stage = why->stage, .text = {}, .reason = std::string(lost)}, index_max);
  CHECK(index != none);
  ++entries_[index].waiting;
  return index;
}

/// `none` when there are as many as `full`, and not this one.
ReasonTable::Index ReasonTable::find_or_add(const Setback& why, size_t full) {
  const size_t hash = hash_of(why);
  const auto [first, last] = by_hash_.equal_range(hash);
  for (auto at = first; at != last; ++at)
    if (say_the_same(*entries_[at->second].why, why)) return at->second;
  if (by_hash_.size() >= full) return none;
  if (free_.empty()) {
    free_.push_back(static_cast<Index>(entries_.size()));
    entries_.emplace_back();
  }
  const Index index = free_.back();
  free_.pop_back();
  auto kept = std::make_shared<Setback>(why);
  kept->phases_us = {};
  entries_[index].why = std::move(kept);
  by_hash_.emplace(hash, index);
  return index;
}

void ReasonTable::drop(Index reason) {
  if (reason == none || --entries_[reason].waiting > 0) return;
  const auto [first, last] = by_hash_.equal_range(hash_of(*entries_[reason].why));
  for (auto at = first; at != last; ++at) {
    if (at->second != reason) continue;
    by_hash_.erase(at);
    break;
  }
  entries_[reason].why = nullptr;
  free_.push_back(reason);
}

}  // namespace sluice::engine::queue
