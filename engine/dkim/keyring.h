#pragma once

#include <expected>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/dkim/key.h"
#include "io/clock.h"

namespace sluice::engine::dkim {

/// A key and what is told of it in a signature.
struct Signer {
  std::string domain, selector;
  KeyPtr key;
  io::WallTime start{}, end = io::WallTime::max();  // when it signs
  io::Duration lifetime{};                          // of a signature; 0: without end

  bool signs_at(io::WallTime now) const { return now >= start && now < end; }
};

/// Of what is kept by domain, that for messages of an author at `domain` (lower case, A-labels):
/// the domain's own, else that of the closest one that it is below; null when there is none.
template <class Kept>
const Kept* for_author(const std::map<std::string, Kept, std::less<>>& by_domain,
                       std::string_view domain) {
  while (!domain.empty()) {
    if (const auto found = by_domain.find(domain); found != by_domain.end()) return &found->second;
    const size_t dot = domain.find('.');
    domain.remove_prefix(dot == domain.npos ? domain.size() : dot + 1);
  }
  return nullptr;
}

/// The keys of a configuration. Immutable, for all shards.
class Keyring {
 public:
  /// Blocking. The error is one line for the operator, of the first key that cannot be used.
  static std::expected<std::shared_ptr<const Keyring>, std::string> load(
      std::span<const DkimPolicy> policies);
  explicit Keyring(std::vector<Signer> signers);

  bool is_empty() const { return signers_.empty(); }
  /// for_author(); empty when there are none.
  std::span<const Signer> of(std::string_view domain) const;
  /// How much longer signatures make a message, at most.
  size_t bytes_max() const { return bytes_max_; }

 private:
  std::map<std::string, std::vector<Signer>, std::less<>> signers_;  // by domain
  size_t bytes_max_ = 0;
};
using KeyringPtr = std::shared_ptr<const Keyring>;

/// The domain of the first address in the value of a From field, as Keyring::of() takes it; "" when
/// there is none.
std::string author_domain(std::string_view from);

}  // namespace sluice::engine::dkim
