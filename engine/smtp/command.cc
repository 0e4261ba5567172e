#include "engine/smtp/command.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sluice::engine::smtp {
namespace {

constexpr std::pair<std::string_view, Verb> verbs[] = {
    {"MAIL", Verb::mail},    {"RCPT", Verb::rcpt},         {"DATA", Verb::data},
    {"BDAT", Verb::bdat},    {"EHLO", Verb::ehlo},         {"HELO", Verb::helo},
    {"RSET", Verb::rset},    {"NOOP", Verb::noop},         {"QUIT", Verb::quit},
    {"AUTH", Verb::auth},    {"STARTTLS", Verb::starttls}, {"ETRN", Verb::etrn},
    {"VRFY", Verb::vrfy},    {"EXPN", Verb::expn},         {"HELP", Verb::help},
    {"CONNECT", Verb::http}, {"GET", Verb::http},          {"HEAD", Verb::http},
    {"OPTIONS", Verb::http}, {"POST", Verb::http},         {"PUT", Verb::http},
};

}  // namespace

bool is_word(std::string_view word, std::string_view upper) {
  return std::ranges::equal(word, upper, [](char a, char b) {
    return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
  });
}

std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(text.find_first_not_of(' ', word.size()), text.size()));
  return word;
}

Command parse_command(std::string_view line) {
  line = line.substr(0, line.find_last_not_of(' ') + 1);
  const std::string_view word = take_word(line);
  const auto* const known =
      std::ranges::find_if(verbs, [word](const auto& verb) { return is_word(word, verb.first); });
  return {.verb = known == std::end(verbs) ? Verb::unknown : known->second, .argument = line};
}

}  // namespace sluice::engine::smtp
