#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::intake {

/// `value` in quotes for a message to the operator: control characters and what is not UTF-8 as
/// \xNN, cut after 64 octets.
std::string shown(std::string_view value);

}  // namespace sluice::engine::intake
