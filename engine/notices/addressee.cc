#include "engine/notices/addressee.h"

#include "engine/intake/address.h"
#include "engine/mail/charset.h"

namespace sluice::engine::notices {

using mail::NoticeKind;

bool wants_notice(NoticeKind kind, smtp::Notify notify) {
  using namespace smtp;
  if ((notify & notify_never) != 0) return false;
  switch (kind) {
    case NoticeKind::failed:  return notify == 0 || (notify & notify_failure) != 0;
    case NoticeKind::delayed: return notify == 0 || (notify & notify_delay) != 0;
    case NoticeKind::relayed: return (notify & notify_success) != 0;
  }
  return false;
}

Addressee addressee_of(const Subject& subject, std::string_view postmaster) {
  if (subject.policy == Notices::log || !wants_notice(subject.kind, subject.notify)) return {};
  Addressee to{.whom = Whom::sender};
  if (intake::normalise_address(subject.sender, to.address)) return to;
  if (subject.kind != NoticeKind::failed) return {};
  to.whom = Whom::postmaster;
  std::string recipient;
  if (!intake::normalise_address(postmaster, to.address)) return {};
  if (intake::normalise_address(subject.recipient, recipient) &&
      mail::equals_ignoring_case(recipient, to.address))
    return {};
  return to;
}

}  // namespace sluice::engine::notices
