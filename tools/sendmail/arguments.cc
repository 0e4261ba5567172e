#include "tools/sendmail/arguments.h"

#include <fmt/format.h>

#include <string_view>

#include "tools/terminal_text.h"

namespace sluice::tools {

namespace {

// What sendmail, Postfix and Exim know. A value of -d or -q is never the next argument.
constexpr std::string_view with_value = "ABCFLMNORVXbefhopr";
constexpr std::string_view with_own_value = "dq";
constexpr std::string_view flags = "GIUcimnstvx";

using Done = std::expected<void, std::string>;

Done wrong(std::string text) { return std::unexpected(std::move(text)); }

Done take_mode(SendmailArguments& to, std::string_view mode) {
  if (mode == "m") return {};
  if (mode == "s") {
    to.mode = SendmailArguments::Mode::dialogue;
    return {};
  }
  if (mode == "d" || mode == "D") return wrong("-bd: the daemon is sluice serve");
  if (mode == "p") return wrong("-bp: what waits is shown by sluice queue list");
  return wrong(fmt::format("-b{}: this mode is not known; it is -bm or -bs", terminal_text(mode)));
}

/// One option, `letter`, with its value.
Done take(SendmailArguments& to, char letter, std::string_view value) {
  switch (letter) {
    case 't': to.reads_recipients = true; return {};
    case 'i': to.ignores_dot = true; return {};
    case 'o':
      if (value == "i") to.ignores_dot = true;
      return {};
    case 'f':
    case 'r': to.sender = value; return {};
    case 'F': to.name = value; return {};
    case 'q': to.mode = SendmailArguments::Mode::run_queue; return {};
    case 'b': return take_mode(to, value);
    case 'N': {
      const auto notify = engine::smtp::parse_notify(value);
      if (!notify)
        return wrong(fmt::format("-N {}: it is never, or success, failure and delay with commas",
                                 terminal_text(value)));
      to.notify = *notify;
      return {};
    }
    case 'R': {
      const auto returned = engine::smtp::parse_returned_content(value);
      if (!returned) return wrong(fmt::format("-R {}: it is hdrs or full", terminal_text(value)));
      to.returned = *returned;
      return {};
    }
    case 'V':
      if (!engine::smtp::is_envelope_id(value))
        return wrong(
            fmt::format("-V {}: at most 100 printable characters of US-ASCII (+, = and blanks "
                        "count three)",
                        terminal_text(value)));
      to.envelope_id = value;
      return {};
    default: return {};
  }
}

/// The arguments that are left.
class Words {
 public:
  explicit Words(std::span<const char* const> words) : words_(words) {}

  bool is_empty() const { return words_.empty(); }
  std::string_view next() const { return words_.front(); }
  std::string_view take() {
    const std::string_view word = words_.front();
    words_ = words_.subspan(1);
    return word;
  }

 private:
  std::span<const char* const> words_;
};

/// `--config FILE`, `--spool=DIR`, `--help`.
Done take_long(SendmailArguments& to, std::string_view word, Words& words) {
  const size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  if (name == "--help") {
    to.mode = SendmailArguments::Mode::help;
    return {};
  }
  std::string* const value = name == "--config"  ? &to.config
                             : name == "--spool" ? &to.spool
                                                 : nullptr;
  if (value == nullptr)
    return wrong(fmt::format("{}: this option is not known", terminal_text(word)));
  if (equals == word.npos && words.is_empty()) return wrong(fmt::format("{}: no value", name));
  *value = equals == word.npos ? words.take() : word.substr(equals + 1);
  return {};
}

/// `-ti`, `-fann@news.example`, `-f ann@news.example`.
Done take_short(SendmailArguments& to, std::string_view word, Words& words) {
  for (size_t at = 1; at < word.size(); ++at) {
    const char letter = word[at];
    std::string_view value;
    if (with_value.find(letter) != std::string_view::npos) {
      value = word.substr(at + 1);
      if (value.empty() && words.is_empty()) return wrong(fmt::format("-{}: no value", letter));
      if (value.empty()) value = words.take();
      at = word.size();
    } else if (with_own_value.find(letter) != std::string_view::npos) {
      at = word.size();
    } else if (flags.find(letter) == std::string_view::npos) {
      return wrong(fmt::format("-{}: this option is not known", terminal_text({&letter, 1})));
    }
    if (auto done = take(to, letter, value); !done) return done;
  }
  return {};
}

}  // namespace

std::expected<SendmailArguments, std::string> SendmailArguments::parse(
    std::span<const char* const> arguments) {
  SendmailArguments to;
  Words words(arguments);
  while (!words.is_empty() && words.next().size() > 1 && words.next().starts_with('-')) {
    const std::string_view word = words.take();
    if (word == "--") break;
    const auto done =
        word.starts_with("--") ? take_long(to, word, words) : take_short(to, word, words);
    if (!done) return std::unexpected(done.error());
  }
  while (!words.is_empty()) to.recipients.emplace_back(words.take());
  return to;
}

}  // namespace sluice::tools
