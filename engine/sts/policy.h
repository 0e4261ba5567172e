#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::sts {

/// A domain's MTA-STS policy (RFC 8461 section 3.2): by which hosts it takes mail, and that they
/// speak TLS with a certificate that is good.
struct Policy {
  enum class Mode : uint8_t {
    none,     // as if there were none
    testing,  // mail goes all the same, and what would have failed is told
    enforce,
  };
  static constexpr size_t bytes_max = 64 * 1024;
  static constexpr uint32_t age_s_max = 31'557'600;

  Mode mode = Mode::none;
  uint32_t max_age_s = 0;
  std::vector<std::string> mx;  // lower case: "mx.example.test", "*.example.test"
  std::string text;             // as it was served

  /// `host` (lower case, A-labels) is one of `mx`; `*` stands for one label (section 4.1).
  bool names(std::string_view host) const;
};
using PolicyPtr = std::shared_ptr<const Policy>;

std::string_view name(Policy::Mode mode);

/// The error says in what way `text` is none: the end of a sentence that begins with the policy.
std::expected<Policy, std::string_view> parse_policy(std::string_view text);

}  // namespace sluice::engine::sts
