#include "engine/smtp/server.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "engine/smtp/envelope_reader.h"
#include "engine/smtp/path.h"
#include "engine/smtp/reply_line.h"
#include "io/check.h"

namespace sluice::engine::smtp {
namespace {

constexpr std::string_view syntax_error = "501 5.5.4 Bad argument";
constexpr std::string_view too_many_errors = "421 4.7.0 Too many errors";

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

/// Moves no mail: a client may say it now and then, not for ever.
bool is_idle(Verb verb) {
  constexpr Verb verbs[] = {Verb::ehlo, Verb::etrn, Verb::helo, Verb::help,
                            Verb::noop, Verb::rset, Verb::vrfy};
  return std::ranges::find(verbs, verb) != std::end(verbs);
}

std::string_view refusal_of(ContentFault fault) {
  switch (fault) {
    case ContentFault::none:      return {};
    case ContentFault::bare_cr:   return "550 5.6.11 Bare carriage return: lines end in CR LF";
    case ContentFault::bare_lf:   return "550 5.6.11 Bare line feed: lines end in CR LF";
    case ContentFault::nul:       return "550 5.6.11 NUL octet: binary content is not offered";
    case ContentFault::long_line: return "550 5.6.11 Line longer than 65536 octets";
  }
  return {};
}

struct Chunk {
  uint64_t octets = 0;
  bool is_last = false;
};

/// `1024` or `1024 LAST` (RFC 3030 section 2).
std::optional<Chunk> parse_chunk(std::string_view argument) {
  const std::string_view digits = take_word(argument);
  Chunk chunk{.is_last = is_word(argument, "LAST")};
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, chunk.octets);
  const bool is_good = !digits.empty() && error == std::errc() && stop == end;
  return is_good && (argument.empty() || chunk.is_last) ? std::optional(chunk) : std::nullopt;
}

}  // namespace

void Server::greet(std::string& out, std::string_view instead) {
  CHECK(phase_ == Phase::connected);
  phase_ = Phase::greeted;
  if (instead.empty()) {
    fmt::format_to(std::back_inserter(out), "220 {} ESMTP Sluice\r\n", options_->hostname);
  } else {
    say(out, instead);
    if (phase_ != Phase::closed) phase_ = Phase::refused;
  }
}

Server::Event Server::next(std::span<const std::byte>& input, std::string& out) {
  CHECK(phase_ != Phase::connected && phase_ != Phase::handshake && !is_owed());
  for (;;) {
    if (phase_ == Phase::closed) return Event::closed;
    const Step step = phase_ == Phase::content ? take_content(input, out) : take_line(input, out);
    if (step) return *step;
  }
}

Server::Step Server::take_line(std::span<const std::byte>& input, std::string& out) {
  if (input.empty()) return Event::needs_input;
  const size_t bytes_max = phase_ == Phase::auth ? AuthExchange::line_bytes_max : command_bytes_max;
  const std::string_view text = as_text(input);
  const size_t feed = text.find('\n');
  const std::string_view taken = text.substr(0, feed == text.npos ? feed : feed + 1);
  line_is_long_ |= line_.size() + taken.size() > bytes_max;
  const bool is_whole = feed != text.npos;
  if (!line_is_long_ && !(is_whole && line_.empty())) line_ += taken;
  input = input.subspan(taken.size());
  if (!is_whole) return Event::needs_input;
  has_more_input_ = !input.empty();

  const std::string_view line = line_.empty() ? taken : line_;
  Step step;
  if (line_is_long_)
    step = refuse_line(
        out, phase_ == Phase::auth ? "500 5.5.6 Response too long" : "500 5.5.2 Line too long");
  else if (!line.ends_with("\r\n"))
    step = refuse_line(out, "500 5.5.2 Bare line feed: lines end in CR LF");
  else
    step = take_command(line.substr(0, line.size() - 2), out);
  // It may have held a password.
  explicit_bzero(line_.data(), line_.size());
  line_.clear();
  line_is_long_ = false;
  return step;
}

/// What is no line at all ends an exchange of AUTH as well.
Server::Event Server::refuse_line(std::string& out, std::string_view reply) {
  if (phase_ == Phase::auth) {
    auth_.forget();
    phase_ = Phase::ready;
  }
  return object(out, reply);
}

Server::Step Server::take_command(std::string_view line, std::string& out) {
  if (phase_ == Phase::auth) return go_on_auth(auth_.take(line), out);
  if (has_control(line)) return object(out, "500 5.5.2 Control octet in a command");
  const Command command = parse_command(line);
  if (command.verb == Verb::http) {
    say(out, "554 5.5.1 This is SMTP");
    phase_ = Phase::closed;
    return Event::closed;
  }
  if (phase_ == Phase::refused && command.verb != Verb::quit)
    return object(out, "503 5.5.1 No service here");
  const bool may_be_8bit = command.verb == Verb::mail || command.verb == Verb::rcpt;
  if (!may_be_8bit && smtp::is_8bit(line))
    return object(out, "500 5.5.2 Octet over 127 in a command");
  return take_verb(command, out);
}

Server::Step Server::take_verb(const Command& command, std::string& out) {
  if (is_idle(command.verb) && ++idle_commands_ > idle_commands_max) {
    idle_commands_ = idle_commands_max;
    if (++errors_ > errors_max) return say(out, too_many_errors);
  }
  switch (command.verb) {
    case Verb::helo:
    case Verb::ehlo:     return hello(command, out);
    case Verb::mail:     return mail(command.argument, out);
    case Verb::rcpt:     return rcpt(command.argument, out);
    case Verb::data:     return data(command.argument, out);
    case Verb::bdat:     return bdat(command.argument, out);
    case Verb::starttls: return starttls(command.argument, out);
    case Verb::auth:     return begin_auth(command.argument, out);
    case Verb::etrn:     return etrn(command.argument, out);
    case Verb::noop:     return say(out, "250 2.0.0 Ok");
    case Verb::help:     return say(out, "214 2.0.0 See RFC 5321");
    case Verb::vrfy:
      if (command.argument.empty()) return object(out, syntax_error);
      return say(out, "252 2.0.0 Not verified; send and see");
    case Verb::expn: return object(out, "502 5.5.1 Lists are not expanded");
    case Verb::rset:
      if (!command.argument.empty()) return object(out, syntax_error);
      append_reply(out, "250 2.0.0 Ok");
      return abandon();
    case Verb::quit:
      fmt::format_to(std::back_inserter(out), "221 2.0.0 {} Bye\r\n", options_->hostname);
      phase_ = Phase::closed;
      return Event::closed;
    case Verb::http:
    case Verb::unknown: break;
  }
  return object(out, "500 5.5.2 Command unknown");
}

// ---- Commands -------------------------------------------------------------------------------

Server::Event Server::hello(const Command& command, std::string& out) {
  constexpr size_t name_bytes_max = 255;  // RFC 5321 section 4.5.3.1.2
  std::string_view argument = command.argument;
  const std::string_view name = take_word(argument);
  if (name.empty() || name.size() > name_bytes_max) return object(out, "501 5.5.4 Say who you are");
  const Event event = abandon();
  phase_ = Phase::ready;
  client_name_ = name;
  is_esmtp_ = command.verb == Verb::ehlo;
  if (is_esmtp_)
    say_extensions(out);
  else
    fmt::format_to(std::back_inserter(out), "250 {}\r\n", options_->hostname);
  return event;
}

void Server::say_extensions(std::string& out) const {
  const auto to = std::back_inserter(out);
  fmt::format_to(to, "250-{}\r\n250-PIPELINING\r\n250-SIZE {}\r\n", options_->hostname,
                 options_->message_bytes_max);
  if (options_->offers_starttls && !is_tls_) out += "250-STARTTLS\r\n";
  if (options_->offers_auth && is_tls_) out += "250-AUTH PLAIN LOGIN\r\n";
  if (is_tls_) out += "250-REQUIRETLS\r\n";
  if (options_->offers_etrn) out += "250-ETRN\r\n";
  fmt::format_to(to,
                 "250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n"
                 "250-CHUNKING\r\n250 LIMITS RCPTMAX={} MAILMAX={}\r\n",
                 options_->recipients_max, options_->transactions_max);
}

Server::Event Server::mail(std::string_view argument, std::string& out) {
  if (phase_ == Phase::greeted) return object(out, "503 5.5.1 EHLO first");
  if (phase_ != Phase::ready) return object(out, "503 5.5.1 A transaction is under way");
  if (transactions_ == options_->transactions_max)
    return say(out, "421 4.7.0 Enough messages for one session");
  const EnvelopeRules rules{.message_bytes_max = options_->message_bytes_max,
                            .knows_auth = options_->offers_auth && is_tls_,
                            .is_tls = is_tls_};
  const std::string_view objection = read_mail(argument, rules, envelope_);
  if (objection.empty()) return owe(Event::mail);
  envelope_.clear();
  return object(out, objection);
}

Server::Event Server::rcpt(std::string_view argument, std::string& out) {
  if (phase_ != Phase::mail && phase_ != Phase::rcpt) return object(out, "503 5.5.1 MAIL first");
  if (envelope_.recipients().size() == options_->recipients_max)
    return say(out, "452 4.5.3 Too many recipients");
  const std::string_view objection =
      read_rcpt(argument, envelope_.is_smtputf8, envelope_.add_recipient());
  if (objection.empty()) return owe(Event::rcpt);
  envelope_.remove_last_recipient();
  // No error of the session: a list with many bad addresses would never get through.
  return say(out, objection);
}

Server::Event Server::data(std::string_view argument, std::string& out) {
  if (!argument.empty()) return object(out, syntax_error);
  if (phase_ == Phase::mail) return say(out, "554 5.5.1 No valid recipients");
  if (phase_ != Phase::rcpt) return object(out, "503 5.5.1 RCPT first");
  content_.begin_data();
  is_chunked_ = false;
  after_content_ = Phase::ready;
  return owe(Event::content);
}

/// The octets of a chunk follow whatever the answer is (RFC 3030 section 2): a refused one is
/// swallowed first. When one of a message's chunks is, then all are, up to the last.
Server::Step Server::bdat(std::string_view argument, std::string& out) {
  const auto chunk = parse_chunk(argument);
  if (!chunk) {
    // How much of what follows is content? To guess is to let content give commands.
    say(out, "501 5.5.4 Not a chunk's size; content cannot be told from commands");
    phase_ = Phase::closed;
    return Event::closed;
  }
  const Phase before = phase_;
  const bool is_first = before != Phase::chunks;
  content_.begin_chunk(chunk->octets, is_first, chunk->is_last);
  is_chunked_ = true;
  is_last_chunk_ = chunk->is_last;
  after_content_ = is_last_chunk_ ? Phase::ready : Phase::chunks;
  if (before == Phase::rcpt) return owe(Event::content);
  if (before == Phase::mail) refusal_ = "554 5.5.1 No valid recipients";
  if (!is_in_transaction()) {
    if (++errors_ > errors_max) return say(out, too_many_errors);
    refusal_ = "503 5.5.1 RCPT first";
    after_content_ = before;
  }
  phase_ = Phase::content;
  return std::nullopt;
}

Server::Event Server::starttls(std::string_view argument, std::string& out) {
  if (is_tls_) return object(out, "503 5.5.1 TLS is active");
  if (!options_->offers_starttls) return object(out, "502 5.5.1 STARTTLS is not offered");
  if (!argument.empty()) return object(out, syntax_error);
  if (phase_ != Phase::ready) return object(out, "503 5.5.1 Not now");
  if (has_more_input_) {
    // Somebody on the way put octets there that are to be taken for the client's own under TLS.
    say(out, "501 5.5.1 Nothing may follow STARTTLS before its reply");
    phase_ = Phase::closed;
    return Event::closed;
  }
  return owe(Event::starttls);
}

Server::Event Server::begin_auth(std::string_view argument, std::string& out) {
  if (!options_->offers_auth) return object(out, "502 5.5.1 AUTH is not offered");
  if (!is_tls_) return object(out, "538 5.7.11 Passwords only under TLS");
  if (phase_ != Phase::ready || !is_esmtp_) return object(out, "503 5.5.1 Not now");
  if (!user_.empty()) return object(out, "503 5.5.1 You are authenticated");
  return go_on_auth(auth_.begin(argument), out);
}

Server::Event Server::go_on_auth(AuthExchange::Step step, std::string& out) {
  phase_ = step == AuthExchange::Step::challenge ? Phase::auth : Phase::ready;
  switch (step) {
    case AuthExchange::Step::challenge:   return say(out, auth_.reply());
    case AuthExchange::Step::refused:     return object(out, auth_.reply());
    case AuthExchange::Step::credentials: break;
  }
  return owe(Event::auth);
}

Server::Event Server::etrn(std::string_view argument, std::string& out) {
  if (!options_->offers_etrn) return object(out, "502 5.5.1 ETRN is not offered");
  if (phase_ != Phase::ready) return object(out, "503 5.5.1 Not now");
  constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyz0123456789.-_[]:";
  argument_ = argument;
  std::ranges::transform(argument_, argument_.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const size_t name = argument_.starts_with('@') || argument_.starts_with('#') ? 1 : 0;
  const bool is_good = argument_.size() > name && argument_.size() <= 255 &&
                       argument_.find_first_not_of(characters, name) == argument_.npos;
  if (!is_good) return object(out, "501 5.5.4 Name a host, @domain or #queue");
  return owe(Event::etrn);
}

// ---- Content --------------------------------------------------------------------------------

Server::Step Server::take_content(std::span<const std::byte>& input, std::string& out) {
  const ContentReader::Step step = content_.take(input);
  if (step == ContentReader::Step::needs_input) return Event::needs_input;
  if (step == ContentReader::Step::ended) return end_content(out);
  if (refusal_.empty()) {
    refusal_ = refusal_of(content_.fault());
    if (refusal_.empty() && content_.message_bytes() > options_->message_bytes_max)
      refusal_ = "552 5.3.4 Message too large";
    if (refusal_.empty()) return Event::piece;
    is_granted_ = false;
    return Event::dropped;
  }
  // Twice as much as is taken: it is not worth the rest.
  if (content_.message_bytes() / 2 <= options_->message_bytes_max) return std::nullopt;
  say(out, refusal_);
  phase_ = Phase::closed;
  return Event::closed;
}

Server::Step Server::end_content(std::string& out) {
  const bool is_end = !is_chunked_ || is_last_chunk_;
  phase_ = after_content_;
  if (refusal_.empty() && is_end) {
    is_granted_ = false;
    return owe(Event::message);
  }
  if (refusal_.empty()) return say(out, "250 2.0.0 Chunk taken");
  const Event event = say(out, refusal_);
  if (phase_ != Phase::chunks) forget_transaction();
  return event;
}

void Server::refuse_message(std::string_view reply) {
  CHECK(is_granted_ && refusal_.empty() && (reply.starts_with('4') || reply.starts_with('5')));
  is_granted_ = false;
  refusal_ = reply;
}

// ---- Answers --------------------------------------------------------------------------------

void Server::answer(std::string& out, std::string_view reply) {
  CHECK(is_owed() && !(owed_ == Event::etrn && reply.empty()));
  const Event owed = std::exchange(owed_, Event::needs_input);
  if (reply.starts_with("421"))
    say(out, reply);
  else if (reply.empty() || reply.starts_with('2'))
    grant(owed, out, reply);
  else
    deny(owed, out, reply);
}

void Server::grant(Event owed, std::string& out, std::string_view reply) {
  std::string_view standard;
  switch (owed) {
    case Event::auth:
      user_ = auth_.credentials().user;
      auth_.forget();
      standard = "235 2.7.0 Authenticated";
      break;
    case Event::starttls:
      phase_ = Phase::handshake;
      standard = "220 2.0.0 Begin TLS";
      break;
    case Event::mail:
      phase_ = Phase::mail;
      ++transactions_;
      standard = "250 2.1.0 Ok";
      break;
    case Event::rcpt:
      phase_ = Phase::rcpt;
      standard = "250 2.1.5 Ok";
      break;
    case Event::content:
      phase_ = Phase::content;
      is_granted_ = true;
      if (is_chunked_) return;  // answered when it is whole
      standard = "354 End with CR LF dot CR LF";
      break;
    case Event::message:
      forget_transaction();
      errors_ = idle_commands_ = 0;
      standard = "250 2.0.0 Ok";
      break;
    default: break;
  }
  say(out, reply.empty() ? standard : reply);
}

void Server::deny(Event owed, std::string& out, std::string_view reply) {
  switch (owed) {
    case Event::auth:
      auth_.forget();
      if (!reply.starts_with('5')) break;
      object(out, reply);
      return;
    case Event::mail: envelope_.clear(); break;
    case Event::rcpt: envelope_.remove_last_recipient(); break;
    case Event::content:
      if (is_chunked_) {
        refusal_ = reply;
        phase_ = Phase::content;
        return;  // answered when it was swallowed
      }
      [[fallthrough]];
    case Event::message:
      phase_ = Phase::ready;
      forget_transaction();
      break;
    default: break;
  }
  say(out, reply);
}

void Server::close(std::string& out, std::string_view reply) {
  owed_ = Event::needs_input;
  append_reply(out, reply);
  phase_ = Phase::closed;
}

void Server::tls_started() {
  CHECK(phase_ == Phase::connected || phase_ == Phase::handshake);
  if (phase_ == Phase::handshake) phase_ = Phase::greeted;
  is_tls_ = true;
  is_esmtp_ = false;
  client_name_.clear();
}

std::string_view Server::protocol() const {
  static constexpr std::string_view names[2][4] = {
      {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
      {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"}};
  if (!is_esmtp_) return "SMTP";
  return names[envelope_.is_smtputf8 ? 1 : 0][(is_tls_ ? 1 : 0) + (user_.empty() ? 0 : 2)];
}

// ---- Replies and state ----------------------------------------------------------------------

Server::Event Server::say(std::string& out, std::string_view reply) {
  append_reply(out, reply);
  if (!reply.starts_with("421")) return Event::replied;
  phase_ = Phase::closed;
  return Event::closed;
}

/// To a bad command: too many, and the session ends.
Server::Event Server::object(std::string& out, std::string_view reply) {
  return say(out, ++errors_ > errors_max ? too_many_errors : reply);
}

bool Server::is_in_transaction() const {
  return phase_ == Phase::mail || phase_ == Phase::rcpt || phase_ == Phase::chunks;
}

/// For RSET, and EHLO which does the same.
Server::Event Server::abandon() {
  const bool is_dropped = is_granted_;
  if (is_in_transaction()) phase_ = Phase::ready;
  forget_transaction();
  return is_dropped ? Event::dropped : Event::replied;
}

void Server::forget_transaction() {
  envelope_.clear();
  refusal_.clear();
  is_granted_ = false;
}

}  // namespace sluice::engine::smtp
