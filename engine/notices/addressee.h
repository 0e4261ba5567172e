#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/campaign_message.h"
#include "engine/mail/notice.h"

namespace sluice::engine::notices {

/// Is a notice of this kind asked for? Without NOTIFY: of failures and delays (RFC 3461
/// section 5.2.3 leaves those of delays to us), not of successes. NEVER beats all others.
bool wants_notice(mail::NoticeKind kind, smtp::Notify notify);

/// Whose recipient it is that a notice would be about.
struct Subject {
  mail::NoticeKind kind = mail::NoticeKind::failed;
  smtp::Notify notify = 0;
  Notices policy = Notices::log;  // of the message's campaign
  std::string_view sender;        // of the envelope; "" is the null sender
  std::string_view recipient;
};

enum class Whom : uint8_t { nobody, sender, postmaster };

struct Addressee {
  Whom whom = Whom::nobody;
  std::string address;  // in the normal form of recipients; "" for nobody
};

/// Who is told. The sender, as far as asked for. When there is none that could be told (the null
/// sender, so a notice itself, RFC 5321 section 4.5.5; or what is no address), a failure goes to
/// `postmaster` ("" for none), delays and successes to nobody. What fails on its way to the
/// postmaster goes to nobody: that ends the chain.
Addressee addressee_of(const Subject& subject, std::string_view postmaster);

}  // namespace sluice::engine::notices
