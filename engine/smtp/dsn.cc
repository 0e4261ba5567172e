#include "engine/smtp/dsn.h"

#include <algorithm>
#include <array>

namespace sluice::engine::smtp {
namespace {

constexpr size_t envelope_id_bytes_max = 100;
constexpr std::string_view hex_digits = "0123456789ABCDEF";

bool is_word(std::string_view word, std::string_view lower) {
  return std::ranges::equal(word, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

}  // namespace

std::optional<Notify> parse_notify(std::string_view text) {
  if (is_word(text, "never")) return notify_never;
  Notify notify = 0;
  for (bool is_last = false; !is_last;) {
    const std::string_view word = text.substr(0, text.find(','));
    is_last = word.size() == text.size();
    text.remove_prefix(is_last ? word.size() : word.size() + 1);
    if (is_word(word, "success"))
      notify |= notify_success;
    else if (is_word(word, "failure"))
      notify |= notify_failure;
    else if (is_word(word, "delay"))
      notify |= notify_delay;
    else
      return {};
  }
  return notify;
}

std::string_view notify_text(Notify notify) {
  if ((notify & notify_never) != 0) return "NEVER";
  constexpr std::array<std::string_view, 8> texts = {
      "",      "SUCCESS",       "FAILURE",       "SUCCESS,FAILURE",
      "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"};
  return texts[notify >> 1 & 7];
}

std::optional<ReturnedContent> parse_returned_content(std::string_view text) {
  if (is_word(text, "full")) return ReturnedContent::full;
  if (is_word(text, "headers") || is_word(text, "hdrs")) return ReturnedContent::headers;
  return {};
}

bool is_envelope_id(std::string_view text) {
  std::array<char, envelope_id_bytes_max> out;
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  return std::ranges::all_of(text, is_printable) && write_xtext(text, out).has_value();
}

std::optional<size_t> write_xtext(std::string_view text, std::span<char> out) {
  size_t size = 0;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet > 126) return {};
    const bool is_plain = octet > ' ' && c != '+' && c != '=';
    if (out.size() - size < (is_plain ? 1u : 3u)) return {};
    if (is_plain) {
      out[size++] = c;
      continue;
    }
    out[size++] = '+';
    out[size++] = hex_digits[octet >> 4];
    out[size++] = hex_digits[octet & 15];
  }
  return size;
}

bool is_xtext(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] <= ' ' || text[at] > '~' || text[at] == '=') return false;
    if (text[at] != '+') continue;
    const std::string_view code = text.substr(at + 1, 2);
    if (code.size() != 2 || code.find_first_not_of(hex_digits) != code.npos) return false;
    at += 2;
  }
  return true;
}

bool read_xtext(std::string_view text, std::string& out) {
  out.clear();
  if (!is_xtext(text)) return false;
  for (; !text.empty(); text.remove_prefix(text.front() == '+' ? 3 : 1)) {
    if (text.front() == '+')
      out += static_cast<char>(hex_digits.find(text[1]) << 4 | hex_digits.find(text[2]));
    else
      out += text.front();
  }
  return true;
}

}  // namespace sluice::engine::smtp
