#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sluice::spool {

/// May `id` name a campaign? 1 to campaign_id_bytes_max octets of UTF-8 without control characters.
bool is_campaign_id(std::string_view id);

/// The name of a campaign's file (FORMAT.md section 4.1): the id with every octet but
/// [A-Za-z0-9._-], and a dot in front, as %XX. At most 240 octets; different ids have different
/// names.
std::string campaign_file_name(std::string_view id);

/// The id that a file's name stands for; nullopt when campaign_file_name() makes no such name.
std::optional<std::string> campaign_id(std::string_view file_name);

/// What a submitter writes to until it hands over; swept when its lock is free.
inline constexpr std::string_view handoff_prefix = ".hand-off-";
/// What a summary is written to until it replaces the campaign; swept when an engine starts.
inline constexpr std::string_view summary_prefix = ".summary-";

}  // namespace sluice::spool
