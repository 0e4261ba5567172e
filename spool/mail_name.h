#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spool/record.h"

namespace sluice::spool {

inline constexpr std::string_view mail_folder = "mail";
/// Before the name of a segment that is not there yet (large_mail.h).
inline constexpr std::string_view incoming_mail_prefix = ".incoming-";

/// What the name of a mail segment says (FORMAT.md section 7.1).
struct MailName {
  uint64_t sequence = 0;
  unsigned shard = 0;
  uint64_t uid = 0;
  Salt salt;
  uint8_t mail_class = 0;  // to 9: what its messages have in common; opaque here

  std::string text() const;
  /// The id that the segment has as a campaign.
  std::string id() const;
  static std::optional<MailName> parse(std::string_view text);
};

}  // namespace sluice::spool
