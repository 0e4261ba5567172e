#pragma once

#include <optional>
#include <span>
#include <string>

namespace sluice::engine::sts {

/// The id of a domain's policy, from the TXT records of `_mta-sts.DOMAIN` (RFC 8461 section 3.1),
/// the strings of each joined. Null: the domain says of no policy.
std::optional<std::string> policy_id(std::span<const std::string> records);

}  // namespace sluice::engine::sts
