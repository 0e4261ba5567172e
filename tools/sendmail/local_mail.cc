#include "tools/sendmail/local_mail.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#include <string_view>

#include "engine/intake/submission.h"
#include "engine/report/json_writer.h"
#include "tools/exit_code.h"

namespace sluice::tools {

namespace intake = engine::intake;

LocalUser LocalUser::current() {
  LocalUser user;
  const passwd* const entry = getpwuid(getuid());
  if (entry == nullptr) return user;
  user.login = entry->pw_name;
  const std::string_view gecos = entry->pw_gecos;
  user.name = gecos.substr(0, gecos.find(','));
  return user;
}

void LocalMail::add_recipient(const std::string& address) {
  engine::report::JsonObject row(recipients);
  row.string("email", address);
  row.end();
  recipients.push_back('\n');
}

std::expected<void, NotTaken> hand_off(io::Proactor& proactor, const engine::Config& config,
                                       const LocalUser& user, LocalMail mail,
                                       const engine::mail::LocalMessage& message) {
  const std::string own = fmt::format("{}@{}", user.login, config.hostname);
  std::string complete = message.complete(
      {.name = std::move(mail.author),
       .address = mail.sender.empty() ? own : mail.sender,
       .message_id = fmt::format("<{:016x}.0@{}>", proactor.random(), config.hostname),
       .date = proactor.wall()});
  const bool wants_notices = mail.notify != engine::smtp::notify_never;
  constexpr size_t sort_bytes = 1024 * 1024;
  intake::Submission submission(
      {.message = "the message",
       .at_hand = std::move(complete),
       .is_literal = true,
       .from = mail.sender,
       .is_repeatable = false,
       .spool = config.spool,
       .hostname = config.hostname,
       .notices = wants_notices ? engine::Notices::sender : engine::Notices::log,
       .notify = mail.notify,
       .returned = mail.returned,
       .envelope_id = std::move(mail.envelope_id),
       .sort_bytes = sort_bytes},
      proactor);
  auto list = intake::RecipientList::read(intake::ListFile::holding(std::move(mail.recipients)),
                                          "recipients");
  if (!list) return std::unexpected(NotTaken{EX_DATAERR, {list.error().text}});
  submission.set_list(*std::move(list));
  auto receipt = submission.run();
  if (receipt) return {};
  return std::unexpected(
      NotTaken{exit_code(receipt.error().kind), std::move(receipt.error().lines)});
}

}  // namespace sluice::tools
