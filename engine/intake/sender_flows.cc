#include "engine/intake/sender_flows.h"

#include <algorithm>
#include <array>
#include <functional>

namespace sluice::engine::intake {

namespace {

size_t hash_of_domain(std::string_view address) {
  const std::string_view domain = address.substr(address.rfind('@') + 1);
  std::array<char, 255> lower;
  const size_t length = std::min(domain.size(), lower.size());
  std::ranges::transform(domain.substr(0, length), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return std::hash<std::string_view>()({lower.data(), length});
}

}  // namespace

SenderFlows::SenderFlows(const std::vector<SenderPolicy>& senders) {
  for (const SenderPolicy& policy : senders) {
    const auto weight = static_cast<uint16_t>(policy.weight);
    if (policy.pattern == "*")
      others_ = weight;
    else
      weights_.emplace(hash_of_domain(policy.pattern), weight);
  }
}

Flow SenderFlows::of(std::string_view sender) const {
  constexpr size_t own = UINT16_MAX - shared;  // numbers for those that are named
  const size_t hash = hash_of_domain(sender);
  const auto named = weights_.find(hash);
  if (named == weights_.end())
    return {.number = static_cast<uint16_t>(1 + hash % shared), .weight = others_};
  return {.number = static_cast<uint16_t>(1 + shared + hash % own), .weight = named->second};
}

}  // namespace sluice::engine::intake
