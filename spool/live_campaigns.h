#pragma once

#include <expected>
#include <string>

#include "io/proactor.h"
#include "spool/error.h"
#include "spool/recovery.h"

namespace sluice::spool {

/// Forgets what the journal says of campaigns that have their summary, or are gone as a mail
/// segment that was finished is, and unlinks segments that speak of no other: what a crash between
/// the two left behind (FORMAT.md section 5.4). While a file of campaigns/ cannot be read, only
/// what is known to be finished is forgotten. Blocking; reads the head of each campaign, nothing
/// when the journal is empty.
std::expected<void, Error> drop_finished(io::Proactor& proactor, const std::string& spool,
                                         Recovered& recovered);

}  // namespace sluice::spool
