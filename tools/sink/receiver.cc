#include "tools/sink/receiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "io/check.h"

namespace sluice::tools::sink {
namespace {

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower, lower);
}

bool starts_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// Takes `<path>` off the front of `text`: a '>' within quotes does not end it. False when there is
/// none.
bool take_path(std::string_view& text, std::string& path) {
  if (!text.starts_with('<')) return false;
  bool quoted = false;
  for (size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quoted)
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (c == '>' && !quoted) {
      path.assign(text.substr(1, i - 1));
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

}  // namespace

Receiver::Event Receiver::next(std::span<const std::byte>& input) {
  if (state_ == State::content) return take_content(input);
  if (content_ended_) forget_transaction();
  return take_line(input);
}

Receiver::Event Receiver::take_line(std::span<const std::byte>& input) {
  const std::string_view text = as_text(input);
  const size_t end = text.find('\n');
  const size_t taken = end == text.npos ? text.size() : end + 1;
  if (line_.size() + taken > line_bytes_max) line_is_long_ = true;
  if (end == text.npos || !line_.empty()) {
    if (!line_is_long_) line_.append(text.substr(0, taken));
  }
  input = input.subspan(taken);
  if (end == text.npos) return Event::needs_input;
  std::string_view line = line_.empty() ? text.substr(0, taken) : std::string_view(line_);
  if (line_is_long_) {
    verb_ = Verb::unknown;
    stage_.reset();
    objection_ = "500 5.5.2 Line too long\r\n";
  } else {
    line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    recognise(line);
  }
  line_.clear();
  line_is_long_ = false;
  return Event::command;
}

Receiver::Event Receiver::take_content(std::span<const std::byte>& input) {
  if (input.empty()) return Event::needs_input;
  if (!content_begun_) {
    content_begun_ = true;
    stage_ = Stage::block;
    return Event::content_began;
  }
  bool ended = false;
  const size_t taken = scanner_.scan(input, ended);
  const std::string_view piece = as_text(input.first(taken));
  content_bytes_ += taken;
  if (!head_is_whole_) keep_head(piece);
  if (options_.keep_content) content_.append(piece);
  input = input.subspan(taken);
  if (!ended) return Event::needs_input;
  constexpr size_t final_dot_bytes = 3;
  content_bytes_ -= final_dot_bytes;
  if (options_.keep_content) content_.resize(content_.size() - final_dot_bytes);
  content_ended_ = true;
  state_ = State::ready;
  verb_ = Verb::none;
  objection_ = {};
  stage_ = Stage::final_dot;
  return Event::content_ended;
}

/// Collects the header section, in small steps: what follows it is not worth a copy.
void Receiver::keep_head(std::string_view piece) {
  constexpr size_t step = 1024;
  while (!piece.empty() && !head_is_whole_) {
    const size_t before = head_.size();
    const size_t size = std::min(step, piece.size());
    head_.append(piece.substr(0, size));
    piece.remove_prefix(size);
    const size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end != head_.npos) head_.resize(end + 2);
    head_is_whole_ =
        end != head_.npos || head_.starts_with("\r\n") || head_.size() >= head_bytes_max;
  }
}

std::string_view Receiver::field(std::string_view name) const {
  std::string_view rest = head_;
  while (!rest.empty()) {
    size_t end = rest.find("\r\n");
    // RFC 5322 section 2.2.3: a field goes on in lines that begin with white space.
    while (end != rest.npos && end + 2 < rest.size() &&
           (rest[end + 2] == ' ' || rest[end + 2] == '\t'))
      end = rest.find("\r\n", end + 2);
    const std::string_view field = rest.substr(0, end);
    if (starts_ignoring_case(field, name)) return trim(field.substr(name.size()));
    if (end == rest.npos) break;
    rest.remove_prefix(end + 2);
  }
  return {};
}

std::string Receiver::content() const {
  std::string text;
  text.reserve(content_.size());
  for (size_t at = 0; at < content_.size();) {
    if (content_[at] == '.') ++at;  // RFC 5321 section 4.5.2
    const size_t end = content_.find("\r\n", at);
    const size_t next = end == content_.npos ? content_.size() : end + 2;
    text.append(content_, at, next - at);
    at = next;
  }
  return text;
}

void Receiver::recognise(std::string_view line) {
  struct Known {
    std::string_view name;
    Verb verb;
    std::optional<Stage> stage;
  };
  static constexpr std::array<Known, 10> commands = {{
      {"MAIL", Verb::mail, Stage::mail},
      {"RCPT", Verb::rcpt, Stage::rcpt},
      {"DATA", Verb::data, Stage::data},
      {"EHLO", Verb::ehlo, Stage::ehlo},
      {"HELO", Verb::helo, {}},
      {"STARTTLS", Verb::starttls, Stage::starttls},
      {"RSET", Verb::rset, Stage::rset},
      {"NOOP", Verb::noop, {}},
      {"VRFY", Verb::vrfy, {}},
      {"QUIT", Verb::quit, Stage::quit},
  }};
  verb_ = Verb::unknown;
  stage_.reset();
  const std::string_view word = line.substr(0, line.find(' '));
  for (const Known& known : commands)
    if (equal_ignoring_case(word, known.name)) {
      verb_ = known.verb;
      stage_ = known.stage;
      argument_.assign(trim(line.substr(word.size())));
      break;
    }
  objection_ = objection();
  if (!objection_.empty()) stage_.reset();
}

/// What is wrong with the command whatever anybody wants to answer; "" when nothing is.
std::string_view Receiver::objection() {
  switch (verb_) {
    case Verb::none:
    case Verb::noop:
    case Verb::rset:
    case Verb::vrfy:
    case Verb::quit:    return {};
    case Verb::unknown: return "500 5.5.2 Command unrecognised\r\n";
    default:            break;
  }
  // RFC 5321 section 3.1: after a 554 greeting only QUIT makes sense.
  if (state_ == State::refused) return "503 5.5.1 No service here\r\n";
  switch (verb_) {
    case Verb::ehlo:
    case Verb::helo:     return argument_.empty() ? "501 5.5.4 Say who you are\r\n" : "";
    case Verb::starttls: return starttls_objection();
    case Verb::data:
      if (!argument_.empty()) return "501 5.5.4 DATA has no parameters\r\n";
      if (state_ == State::rcpt) return {};
      return state_ == State::mail ? "554 5.5.1 No valid recipients\r\n"
                                   : "503 5.5.1 MAIL first\r\n";
    default: return mail_or_rcpt_objection();
  }
}

std::string_view Receiver::starttls_objection() const {
  if (is_tls_ || !offers("STARTTLS")) return "502 5.5.1 Not offered\r\n";
  if (!argument_.empty()) return "501 5.5.4 STARTTLS has no parameters\r\n";
  if (state_ != State::ready) return "503 5.5.1 Not now\r\n";
  return options_.has_tls ? "" : "454 4.7.0 TLS not available\r\n";
}

void Receiver::tls_started() {
  is_tls_ = true;
  state_ = State::greeted;
}

std::string_view Receiver::mail_or_rcpt_objection() {
  const bool is_mail = verb_ == Verb::mail;
  if (is_mail && state_ == State::greeted) return "503 5.5.1 EHLO first\r\n";
  if (is_mail && state_ != State::ready) return "503 5.5.1 Nested MAIL\r\n";
  if (!is_mail && state_ != State::mail && state_ != State::rcpt) return "503 5.5.1 MAIL first\r\n";
  const std::string_view keyword = is_mail ? "FROM:" : "TO:";
  std::string_view rest = argument_;
  if (!starts_ignoring_case(rest, keyword)) return "501 5.5.4 Bad syntax\r\n";
  rest = trim(rest.substr(keyword.size()));
  if (!take_path(rest, path_) || (!is_mail && path_.empty())) return "501 5.1.3 Bad address\r\n";
  if (!parameters_known(rest)) return "555 5.5.4 Parameter not offered\r\n";
  if (!is_mail && recipient_count_ == recipients_max) return "452 4.5.3 Too many recipients\r\n";
  return {};
}

bool Receiver::offers(std::string_view keyword) const {
  return std::ranges::any_of(options_.extensions, [&](std::string_view extension) {
    return equal_ignoring_case(extension.substr(0, extension.find(' ')), keyword);
  });
}

bool Receiver::parameters_known(std::string_view parameters) const {
  struct Parameter {
    std::string_view name, extension;
  };
  static constexpr std::array<Parameter, 8> known = {{{"SIZE", "SIZE"},
                                                      {"BODY", "8BITMIME"},
                                                      {"SMTPUTF8", "SMTPUTF8"},
                                                      {"RET", "DSN"},
                                                      {"ENVID", "DSN"},
                                                      {"NOTIFY", "DSN"},
                                                      {"ORCPT", "DSN"},
                                                      {"AUTH", "AUTH"}}};
  for (parameters = trim(parameters); !parameters.empty();) {
    const std::string_view one = parameters.substr(0, parameters.find(' '));
    const std::string_view name = one.substr(0, one.find('='));
    const auto found = std::ranges::find_if(known, [&](const Parameter& parameter) {
      return equal_ignoring_case(parameter.name, name);
    });
    if (found == known.end() || !offers(found->extension)) return false;
    parameters = trim(parameters.substr(one.size()));
  }
  return true;
}

Receiver::Outcome Receiver::answer(std::string& out, std::optional<std::string_view> instead) {
  if (!objection_.empty()) {
    out += objection_;
    return {};
  }
  const bool is_positive = !instead || instead->starts_with('2') || instead->starts_with('3');
  if (instead) {
    out += *instead;
    out += "\r\n";
  } else {
    append_normal_answer(out);
  }
  Outcome outcome{.taken = content_ended_ && is_positive,
                  .close = verb_ == Verb::quit || (instead && instead->starts_with("421")),
                  .starts_tls = verb_ == Verb::starttls && is_positive};
  if (is_positive)
    accept();
  else if (state_ == State::greeting)
    state_ = State::refused;
  return outcome;
}

void Receiver::accept() {
  if (state_ == State::greeting) {
    state_ = State::greeted;
    return;
  }
  switch (verb_) {
    case Verb::ehlo:
    case Verb::helo:
    case Verb::rset:
      forget_transaction();
      if (verb_ != Verb::rset || state_ != State::greeted) state_ = State::ready;
      break;
    case Verb::mail:
      sender_ = path_;
      state_ = State::mail;
      break;
    case Verb::rcpt:
      if (recipient_count_ == recipients_.size()) recipients_.emplace_back();
      recipients_[recipient_count_++] = path_;
      state_ = State::rcpt;
      break;
    case Verb::data:
      state_ = State::content;
      scanner_.begin();
      break;
    default: break;
  }
}

void Receiver::append_normal_answer(std::string& out) const {
  if (state_ == State::greeting) {
    fmt::format_to(std::back_inserter(out), "220 {} ESMTP Sluice sink\r\n", options_.hostname);
    return;
  }
  switch (verb_) {
    case Verb::none: out += "250 2.0.0 Taken\r\n"; return;
    case Verb::mail: out += "250 2.1.0 Ok\r\n"; return;
    case Verb::rcpt: out += "250 2.1.5 Ok\r\n"; return;
    case Verb::data: out += "354 End with a dot\r\n"; return;
    case Verb::vrfy: out += "252 2.5.0 Try and see\r\n"; return;
    case Verb::quit: out += "221 2.0.0 Bye\r\n"; return;
    case Verb::helo:
      out += "250 ";
      out += options_.hostname;
      out += "\r\n";
      return;
    case Verb::ehlo:     return append_extensions(out);
    case Verb::starttls: out += "220 2.0.0 Begin TLS\r\n"; return;
    default:             out += "250 2.0.0 Ok\r\n";
  }
}

void Receiver::append_extensions(std::string& out) const {
  std::vector<std::string_view> lines = {options_.hostname};
  for (const std::string& extension : options_.extensions)
    if (!is_tls_ || !equal_ignoring_case(extension, "STARTTLS")) lines.push_back(extension);
  for (const std::string_view& line : lines)
    fmt::format_to(std::back_inserter(out), "250{}{}\r\n", &line == &lines.back() ? ' ' : '-',
                   line);
}

void Receiver::forget_transaction() {
  sender_.clear();
  recipient_count_ = 0;
  head_.clear();
  content_.clear();
  content_bytes_ = 0;
  content_begun_ = content_ended_ = head_is_whole_ = false;
}

}  // namespace sluice::tools::sink
