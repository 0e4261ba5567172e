#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <string_view>

#include "engine/smtp/address_syntax.h"
#include "engine/smtp/extensions.h"
#include "engine/smtp/transaction.h"

namespace sluice::engine::smtp {

/// Writes commands into octets of the caller's: each one whole, or not at all (then false is
/// returned and there was no room). What it is given must be fit to be written.
class CommandWriter {
 public:
  static constexpr size_t hostname_bytes_max = 255;  // RFC 5321 section 4.5.3.1.2
  /// The longest command, rounded up: MAIL with a sender of address_bytes_max and all its
  /// parameters.
  static constexpr size_t command_bytes_max = 512;

  explicit CommandWriter(std::span<char> out) : out_(out) {}

  size_t size() const { return size_; }

  bool hello(std::string_view verb, std::string_view hostname) {
    return line({verb, " ", hostname, "\r\n"});
  }

  /// With the parameters that `transaction` asks for and `extensions` allows (RFC 1870, 3461, 6152,
  /// 6531, 8689).
  bool mail(const Transaction& transaction, const Extensions& extensions) {
    const bool tells_size = extensions.size && transaction.bytes > 0;
    char octets[dsn_bytes_max];
    const std::string_view envelope_id =
        extensions.dsn ? xtext(transaction.dsn.envelope_id, octets) : "";
    char digits[20];
    const char* const digits_end =
        tells_size ? std::to_chars(digits, digits + sizeof digits, transaction.bytes).ptr : digits;
    return line({"MAIL FROM:<", transaction.sender, ">", tells_size ? " SIZE=" : "",
                 std::string_view(digits, digits_end),
                 transaction.needs_8bitmime ? " BODY=8BITMIME" : "",
                 transaction.needs_smtputf8 ? " SMTPUTF8" : "",
                 transaction.needs_requiretls ? " REQUIRETLS" : "",
                 extensions.dsn ? returned_text(transaction.dsn.returned) : "",
                 parameter(" ENVID=", envelope_id), envelope_id, "\r\n"});
  }

  /// Whose delivery is asked about is told with ORCPT, where there is room for it.
  bool rcpt(std::string_view recipient, const DsnRequest& dsn, const Extensions& extensions) {
    const std::string_view notify = extensions.dsn ? notify_text(dsn.notify) : "";
    if (extensions.dsn && !dsn.original_recipient.empty())
      return line({"RCPT TO:<", recipient, ">", parameter(" NOTIFY=", notify), notify,
                   " ORCPT=", dsn.original_recipient, "\r\n"});
    char octets[dsn_bytes_max];
    const std::string_view original = notify.empty() ? "" : xtext(recipient, octets);
    return line({"RCPT TO:<", recipient, ">", parameter(" NOTIFY=", notify), notify,
                 parameter(" ORCPT=rfc822;", original), original, "\r\n"});
  }
  bool starttls() { return line({"STARTTLS\r\n"}); }
  bool data() { return line({"DATA\r\n"}); }
  bool final_dot() { return line({".\r\n"}); }
  bool rset() { return line({"RSET\r\n"}); }
  bool quit() { return line({"QUIT\r\n"}); }

  /// Room for content and responses; advance() takes what was filled.
  std::span<char> rest() const { return out_.subspan(size_); }
  void advance(size_t octets) { size_ += octets; }

 private:
  static constexpr size_t dsn_bytes_max = 128;

  static std::string_view parameter(std::string_view name, std::string_view value) {
    return value.empty() ? "" : name;
  }
  static std::string_view returned_text(ReturnedContent returned) {
    switch (returned) {
      case ReturnedContent::unsaid:  return "";
      case ReturnedContent::headers: return " RET=HDRS";
      case ReturnedContent::full:    return " RET=FULL";
    }
    return "";
  }
  static std::string_view xtext(std::string_view text, std::span<char> out) {
    return {out.data(), write_xtext(text, out).value_or(0)};
  }

  bool line(std::initializer_list<std::string_view> parts) {
    size_t octets = 0;
    for (const std::string_view part : parts) octets += part.size();
    if (octets > out_.size() - size_) return false;
    for (const std::string_view part : parts) {
      std::ranges::copy(part, out_.begin() + static_cast<std::ptrdiff_t>(size_));
      size_ += part.size();
    }
    return true;
  }

  std::span<char> out_;
  size_t size_ = 0;
};

}  // namespace sluice::engine::smtp
