#include "engine/intake/large_letter.h"

#include <utility>

#include "engine/intake/smtp_intake.h"
#include "engine/letter.h"

namespace sluice::engine::intake {

LargeLetter::LargeLetter(SmtpIntake& intake, SmtpSession& session, const std::string& spool,
                         unsigned shard, uint64_t sequence, Priority priority)
    : intake_(intake),
      session_(&session),
      mail_(intake.loop().proactor(), spool, shard, sequence,
            static_cast<spool::LargeMail::Listener&>(*this), class_of(priority)) {}

void LargeLetter::finish(const spool::NewMail& mail, std::string_view sender,
                         std::string_view message_id) {
  is_finished_ = true;
  sender_ = sender;
  message_id_ = message_id;
  mail_.finish(mail, intake_.loop().wall());
}

void LargeLetter::forget() {
  session_ = nullptr;
  if (is_finished_) return;
  mail_.abandon();
  intake_.loop().request_turn();
}

void LargeLetter::large_mail_has_room() {
  if (session_) session_->has_room_again();
}

void LargeLetter::large_mail_durable(const std::shared_ptr<const spool::MailSegment>& segment) {
  const std::string reply = intake_.large_letter_durable(*this, segment);
  if (SmtpSession* const session = std::exchange(session_, nullptr))
    session->message_answered(reply);
}

void LargeLetter::large_mail_refused(const spool::Error&) {
  SmtpSession* const session = std::exchange(session_, nullptr);
  if (session) session->content_refused();
}

}  // namespace sluice::engine::intake
