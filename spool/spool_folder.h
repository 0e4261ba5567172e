#pragma once

#include <expected>
#include <initializer_list>
#include <string>
#include <string_view>

#include "io/proactor.h"
#include "spool/error.h"

namespace sluice::spool {

/// Makes the spool's folder and the `parts` of it where they are missing (mode 0700), durably, and
/// looks whether it is this user's. Blocking.
std::expected<void, Error> make_spool_folder(io::Proactor& proactor, const std::string& spool,
                                             std::initializer_list<std::string_view> parts);

}  // namespace sluice::spool
