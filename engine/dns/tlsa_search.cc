#include "engine/dns/tlsa_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

using Status = RecordSet::Status;

constexpr size_t name_octets_max = 253;

std::string owner_of(uint16_t port, const std::string& name) {
  return fmt::format("_{}._tcp.{}", port, name);
}

}  // namespace

TlsaSearch::TlsaSearch(const std::string& name, uint16_t port, const RecordSet& v6,
                       const RecordSet& v4)
    : name_(name), port_(port) {
  std::string canonical;
  bool is_secure = true, is_found = false;
  for (const RecordSet* set : {&v6, &v4}) {
    if (set->status != Status::found) continue;
    is_found = true;
    is_secure &= set->is_secure;
    if (!set->canonical.empty()) canonical = set->canonical;
  }
  if (!is_found) return;
  if (is_secure) {
    names_.push_back(name);
    if (!canonical.empty()) names_.push_back(canonical);
    std::erase_if(names_,
                  [&](const auto& n) { return owner_of(port, n).size() > name_octets_max; });
  } else {
    asks_for_alias_ = !canonical.empty();
  }
}

std::optional<TlsaSearch::Question> TlsaSearch::next() const {
  if (asks_for_alias_) return Question{name_, RecordType::cname};
  if (names_.empty()) return std::nullopt;
  return Question{owner_of(port_, names_.back()), RecordType::tlsa};
}

void TlsaSearch::take(const RecordSet& set) {
  CHECK(next().has_value());
  good_until_ = std::min(good_until_, set.good_until);
  if (!set.is_definite()) {
    failure_ = fmt::format("{} {}: {}", name(next()->type), next()->name, set.reason);
    asks_for_alias_ = false;
    names_.clear();
    return;
  }
  const bool is_there = set.status == Status::found && set.is_secure;
  if (std::exchange(asks_for_alias_, false)) {
    if (is_there) names_.push_back(name_);
    return;
  }
  if (is_there) {
    base_domain_ = names_.back();
    records_ = set.tlsa;
    names_.clear();
  } else {
    names_.pop_back();
  }
}

}  // namespace sluice::engine::dns
