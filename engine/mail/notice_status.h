#pragma once

#include <string>
#include <string_view>

#include "engine/mail/notice.h"

namespace sluice::engine::mail {

/// RFC 3463, of the class that the notice's kind demands: what the server said, else what the
/// attempt came to.
smtp::EnhancedCode status_of(const NoticeRecipient& recipient, NoticeKind kind);

/// The last reply or reason as Diagnostic-Code (RFC 3464 section 2.3.6): type, `;` and text, each
/// line of the reply behind a '\n'. "" when there is neither.
std::string diagnostic_of(const NoticeRecipient& recipient);

/// The fields of message/delivery-status (RFC 3464 sections 2.2 and 2.3), each group with the empty
/// line behind it.
void append_message_status(std::string& out, const NoticeRequest& request);
void append_recipient_status(std::string& out, const NoticeRequest& request,
                             const NoticeRecipient& recipient, bool with_utf8);

}  // namespace sluice::engine::mail
