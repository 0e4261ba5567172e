#include "spool/journal_name.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::spool {

std::string JournalName::text() const {
  return fmt::format("{:010}-{:03}-{:016x}", sequence, shard, salt.bits());
}

std::optional<JournalName> JournalName::parse(std::string_view text) {
  JournalName name;
  uint64_t salt = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto take = [&](auto& value, int base, char next) {
    const auto [stop, error] = std::from_chars(at, end, value, base);
    if (error != std::errc() || (next != 0 && (stop == end || *stop != next))) return false;
    at = stop + (next != 0);
    return true;
  };
  if (!take(name.sequence, 10, '-') || !take(name.shard, 10, '-') || !take(salt, 16, 0) ||
      at != end)
    return std::nullopt;
  name.salt = Salt::from(salt);
  if (name.text() != text) return std::nullopt;
  return name;
}

}  // namespace sluice::spool
