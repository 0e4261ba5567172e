#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "spool/record.h"

namespace sluice::spool {

/// What the name of a journal's segment says (FORMAT.md section 5.1).
struct JournalName {
  uint64_t sequence = 0;
  unsigned shard = 0;
  Salt salt;

  std::string text() const;
  static std::optional<JournalName> parse(std::string_view text);
};

}  // namespace sluice::spool
