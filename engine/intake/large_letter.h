#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "engine/priority.h"
#include "spool/large_mail.h"

namespace sluice::engine::intake {

class SmtpIntake;
class SmtpSession;

/// A message on its way that is too large for memory: what of it came goes to a segment of its own
/// at once. The intake's; a session holds on to it until its message is answered, or forgets it.
class LargeLetter final : spool::LargeMail::Listener {
 public:
  LargeLetter(SmtpIntake& intake, SmtpSession& session, const std::string& spool, unsigned shard,
              uint64_t sequence, Priority priority);

  /// The session should take no more from its client while there is no room.
  /// SmtpSession::has_room_again() follows, or content_refused(): later than has_room() may say so.
  bool has_room() const { return mail_.has_room(); }
  void append(std::string_view octets) { mail_.append(octets); }
  /// SmtpSession::message_answered() follows. `mail` has no content.
  void finish(const spool::NewMail& mail, std::string_view sender, std::string_view message_id);
  bool is_finished() const { return is_finished_; }
  /// The session hears no more of it. Finished, it stands; else it is taken away.
  void forget();

  // The intake's:
  bool is_over() const { return mail_.is_over(); }
  const std::string& sender() const { return sender_; }
  const std::string& message_id() const { return message_id_; }
  uint64_t bytes() const { return mail_.content_bytes(); }

 private:
  void large_mail_has_room() override;
  void large_mail_durable(const std::shared_ptr<const spool::MailSegment>& segment) override;
  void large_mail_refused(const spool::Error& error) override;

  SmtpIntake& intake_;
  SmtpSession* session_;
  std::string sender_, message_id_;
  bool is_finished_ = false;
  spool::LargeMail mail_;
};

}  // namespace sluice::engine::intake
