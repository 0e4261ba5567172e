#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "io/proactor.h"
#include "spool/campaign.h"
#include "spool/error.h"

namespace sluice::spool {

/// The campaign of that id in `spool`, blocking; `missing` when there is none. Who asked closes its
/// file.
std::expected<OpenedCampaign, Error> find_campaign(io::Proactor& proactor, const std::string& spool,
                                                   std::string_view id);

}  // namespace sluice::spool
