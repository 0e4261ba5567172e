#include "spool/mail_name.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::spool {

std::string MailName::text() const {
  return fmt::format("{:010}-{:03}-{:016x}-{:016x}-{}", sequence, shard, uid, salt.bits(),
                     mail_class);
}

std::string MailName::id() const { return fmt::format("mail-{:016x}", uid); }

std::optional<MailName> MailName::parse(std::string_view text) {
  MailName name;
  uint64_t salt = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto take = [&](auto& value, int base) {
    if (at != text.data() && (at == end || *at++ != '-')) return false;
    const auto [stop, error] = std::from_chars(at, end, value, base);
    at = stop;
    return error == std::errc();
  };
  if (!take(name.sequence, 10) || !take(name.shard, 10) || !take(name.uid, 16) || !take(salt, 16) ||
      !take(name.mail_class, 10) || name.mail_class > 9)
    return std::nullopt;
  name.salt = Salt::from(salt);
  if (name.text() != text) return std::nullopt;
  return name;
}

}  // namespace sluice::spool
