#include "tools/sendmail/sendmail_command.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "engine/intake/address.h"
#include "engine/intake/shown.h"
#include "engine/mail/address_list.h"
#include "engine/mail/local_message.h"
#include "io/uring.h"
#include "tools/command_line.h"
#include "tools/privileges.h"
#include "tools/sendmail/arguments.h"
#include "tools/sendmail/dialogue.h"
#include "tools/sendmail/local_mail.h"

namespace sluice::tools {

namespace {

namespace intake = engine::intake;
using engine::mail::LocalMessage;

constexpr const char* help =
    R"HELP(Takes a message from a program on this machine, as sendmail(1) does, and hands it to the spool: whether an engine
runs or not. A symbolic link named sendmail to the program is this command, too.

Usage: sluice sendmail [OPTION]... [--] [RECIPIENT]...

The message is read from standard input, up to its end or a line with a lone dot. It goes out as it is; From, Date and
Message-ID are added when missing, Bcc is removed.

Options:
  -t            Recipients are those of To, Cc and Bcc (with Resent-To ...: of these), besides the arguments
  -i, -oi       A lone dot does not end the message
  -f ADDRESS    Envelope sender, where bounces go; '' or '<>' for none. Default: you. -r is the same
  -F NAME       Your name, for a missing From. Default: $NAME, or the system's
  -N WHEN       Tell the sender: never, or success,failure,delay (RFC 3461)
  -R hdrs|full  How much of the message such a notice brings back
  -V ENVID      A name for the message that notices repeat
  -bm           Take a message: the default
  -bs           Speak SMTP on standard input and output
  -q[TIME]      Nothing to do: the engine needs no call
  --config FILE Configuration file; default: /etc/sluice/sluice.toml if it exists, else built-in defaults
  --spool DIR   The spool's folder, instead of the configuration's
  --help        This
  -B -G -L -m -n -o... -O -U -v -X and others of sendmail's are taken and mean nothing here.

Examples:
  sluice sendmail -t -i < message.eml
  printf 'Subject: backup done\n\nAll well.\n' | sluice sendmail -f backup@news.example root@news.example
  sluice sendmail -bs < dialogue                         for programs that speak SMTP on a pipe
  ln -s "$(command -v sluice)" /usr/sbin/sendmail        for programs that call it by its name

An address without a domain is one at engine.hostname.

Exit codes: 0 handed off, durably;
64 usage, a recipient that is no address, or none at all; 65 a mistake in the
message's recipients; 69 io_uring is not to be had, 73 cannot create, 74 I/O error, 75 the disk is full, 77 not allowed,
78 configuration.
)HELP";

int fail(int code, const std::string& text) {
  fmt::print(stderr, "sluice sendmail: {}\n", text);
  return code;
}

/// The message on standard input; the error is an errno.
std::expected<std::string, int> read_message(bool ignores_dot) {
  std::string message;
  char* line = nullptr;
  size_t room = 0;
  ssize_t size = 0;
  while (message.size() <= engine::mail::Template::message_bytes_max &&
         (size = getline(&line, &room, stdin)) >= 0) {
    const std::string_view text(line, static_cast<size_t>(size));
    if (!ignores_dot && (text == ".\n" || text == ".\r\n" || text == ".")) break;
    message += text;
  }
  const int error = std::ferror(stdin) != 0 ? errno : 0;
  std::free(line);
  if (error != 0) return std::unexpected(error);
  return message;
}

/// `address` at this machine unless it says otherwise, in normal form; or what is wrong with it.
std::expected<std::string, std::string> qualified(const std::string& address,
                                                  const std::string& hostname) {
  std::string out;
  const bool is_local = address.find('@') == address.npos;
  const auto parts = intake::normalise_address(is_local ? address + "@" + hostname : address, out);
  if (parts) return out;
  return std::unexpected(
      fmt::format("{} is not an address: {}", intake::shown(address), parts.error()));
}

/// The addresses of an argument.
std::expected<std::vector<std::string>, std::string> parse_list(const std::string& text) {
  auto addresses = engine::mail::parse_address_list(text);
  if (addresses) return *std::move(addresses);
  return std::unexpected(
      fmt::format("{} is not an address: {}", intake::shown(text), addresses.error().reason));
}

std::expected<std::string, std::string> sender_of(const SendmailArguments& arguments,
                                                  const LocalUser& user,
                                                  const std::string& hostname) {
  if (!arguments.sender) return qualified(user.login, hostname);
  if (arguments.sender->empty() || *arguments.sender == "<>") return "";
  const auto list = parse_list(*arguments.sender);
  if (!list) return std::unexpected(list.error());
  if (list->size() != 1)
    return std::unexpected(
        fmt::format("-f {}: one address is wanted", intake::shown(*arguments.sender)));
  return qualified(list->front(), hostname);
}

struct Mistake {
  int exit_code;
  std::string text;
};

/// Adds all that are meant to `mail`.
std::expected<void, Mistake> add_recipients(LocalMail& mail, const SendmailArguments& arguments,
                                            const LocalMessage& message,
                                            const std::string& hostname) {
  const auto add = [&](const std::vector<std::string>& addresses,
                       int code) -> std::expected<void, Mistake> {
    for (const std::string& address : addresses) {
      const auto normal = qualified(address, hostname);
      if (!normal) return std::unexpected(Mistake{code, normal.error()});
      mail.add_recipient(*normal);
    }
    return {};
  };
  for (const std::string& argument : arguments.recipients) {
    const auto list = parse_list(argument);
    if (!list) return std::unexpected(Mistake{EX_USAGE, list.error()});
    if (auto done = add(*list, EX_USAGE); !done) return done;
  }
  if (arguments.reads_recipients) {
    const auto list = message.recipients();
    if (!list) return std::unexpected(Mistake{EX_DATAERR, list.error()});
    if (auto done = add(*list, EX_DATAERR); !done) return done;
  }
  if (!mail.recipients.empty()) return {};
  return std::unexpected(Mistake{EX_USAGE, arguments.reads_recipients
                                               ? "no recipients: To, Cc and Bcc name nobody"
                                               : "no recipients; name them, or use -t"});
}

std::expected<std::unique_ptr<io::Proactor>, io::UringError> open_ring() {
  return io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
}

/// From the message to the hand-off.
int send(const SendmailArguments& arguments, const engine::Config& config) {
  const LocalUser user = LocalUser::current();
  const auto sender = sender_of(arguments, user, config.hostname);
  if (!sender) return fail(EX_USAGE, sender.error());
  const auto octets = read_message(arguments.ignores_dot);
  if (!octets)
    return fail(EX_IOERR,
                fmt::format("cannot read the message: {}", std::strerror(octets.error())));
  const LocalMessage message(*octets);
  const char* const name = std::getenv("NAME");
  LocalMail mail{.sender = *sender,
                 .author = arguments.name.value_or(name != nullptr ? name : user.name),
                 .notify = arguments.notify,
                 .returned = arguments.returned,
                 .envelope_id = arguments.envelope_id};
  if (auto added = add_recipients(mail, arguments, message, config.hostname); !added)
    return fail(added.error().exit_code, added.error().text);
  auto proactor = open_ring();
  if (!proactor) return fail(EX_UNAVAILABLE, proactor.error().message);
  const auto done = hand_off(**proactor, config, user, std::move(mail), message);
  if (done) return EX_OK;
  for (const std::string& line : done.error().lines) fail(0, line);
  return done.error().exit_code;
}

int speak(const engine::Config& config) {
  auto proactor = open_ring();
  if (!proactor) return fail(EX_UNAVAILABLE, proactor.error().message);
  return Dialogue(**proactor, config).run();
}

}  // namespace

int sendmail_command(int argc, char** argv) {
  const std::vector<const char*> words(argv + 1, argv + argc);
  const auto arguments = SendmailArguments::parse(words);
  if (!arguments) return fail(EX_USAGE, arguments.error() + "; see sluice sendmail --help");
  if (arguments->mode == SendmailArguments::Mode::help) {
    fmt::print("{}", help);
    return EX_OK;
  }
  if (arguments->mode == SendmailArguments::Mode::run_queue) return EX_OK;
  if (has_foreign_rights() && !(arguments->config.empty() && arguments->spool.empty()))
    return fail(EX_NOPERM, "--config and --spool are not for a sendmail that runs as another user");
  const auto config = ConfigurationOptions(arguments->config, arguments->spool).load();
  if (!config) return EX_CONFIG;
  if (arguments->mode == SendmailArguments::Mode::dialogue) return speak(*config);
  return send(*arguments, *config);
}

}  // namespace sluice::tools
