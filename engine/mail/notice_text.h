#pragma once

#include <string>
#include <string_view>

#include "engine/mail/notice.h"

namespace sluice::engine::mail {

/// The words of a notice that people read: what happened to whom, when, what the other side said,
/// and what to do. CRLF lines of about 76 octets, UTF-8 where an address is.
class NoticeText {
 public:
  explicit NoticeText(const NoticeRequest& request) : request_(request) {}

  std::string_view subject() const;
  /// `recipients`: those that follow.
  void begin(std::string& out, std::span<const NoticeRecipient> recipients) const;
  void recipient(std::string& out, const NoticeRecipient& recipient) const;
  void end(std::string& out) const;

 private:
  void attempts(std::string& out, const NoticeRecipient& recipient) const;
  void last_words(std::string& out, const NoticeRecipient& recipient) const;
  void advice(std::string& out, const NoticeRecipient& recipient) const;

  const NoticeRequest& request_;
};

}  // namespace sluice::engine::mail
