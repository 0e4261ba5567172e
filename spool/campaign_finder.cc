#include "spool/campaign_finder.h"

#include <optional>
#include <utility>

#include "spool/campaign_name.h"

namespace sluice::spool {

std::expected<OpenedCampaign, Error> find_campaign(io::Proactor& proactor, const std::string& spool,
                                                   std::string_view id) {
  if (!is_campaign_id(id))
    return std::unexpected(Error{ErrorCode::missing, 0, "no campaign can be named so"});
  const std::string path = spool + "/campaigns/" + campaign_file_name(id);
  std::optional<std::expected<OpenedCampaign, Error>> opened;
  open_campaign(proactor, path, [&](auto result) { opened = std::move(result); });
  while (!opened) proactor.wait(io::never, 1);
  return *std::move(opened);
}

}  // namespace sluice::spool
