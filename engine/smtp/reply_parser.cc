#include "engine/smtp/reply_parser.h"

#include <algorithm>
#include <cstring>

#include "io/check.h"

namespace sluice::engine::smtp {
namespace {

constexpr size_t buffer_bytes_first = 512;
// Whole lines with their LF, and a raw line up to where it is seen to be too long.
constexpr size_t buffer_bytes_max =
    ReplyParser::reply_bytes_max + 1 + ReplyParser::reply_line_bytes_max + 2;
constexpr size_t garbage_shown_bytes_max = 256;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_cr(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The code of a line, 0 when it has none. RFC 5321 section 4.2: three digits, the first 2 to 5,
// then space, hyphen or nothing at all.
uint16_t code_of(std::string_view line) {
  if (line.size() < 3 || line[0] < '2' || line[0] > '5' || !is_digit(line[1]) || !is_digit(line[2]))
    return 0;
  if (line.size() > 3 && line[3] != ' ' && line[3] != '-') return 0;
  return static_cast<uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
}

// Reads one to three digits off the front.
bool take_number(std::string_view& text, uint16_t& number) {
  size_t digits = 0;
  number = 0;
  while (digits < text.size() && digits < 3 && is_digit(text[digits])) {
    number = static_cast<uint16_t>(number * 10 + (text[digits++] - '0'));
  }
  text.remove_prefix(digits);
  return digits > 0;
}

}  // namespace

EnhancedCode Reply::enhanced() const {
  // RFC 3463 section 2: class 2, 4 or 5, then subject and detail of one to three digits.
  if (text.size() <= code_bytes) return {};
  std::string_view rest = text.substr(code_bytes);
  if (rest[0] != '2' && rest[0] != '4' && rest[0] != '5') return {};
  EnhancedCode found{.status = static_cast<uint8_t>(rest[0] - '0')};
  rest.remove_prefix(1);
  for (uint16_t* part : {&found.subject, &found.detail}) {
    if (!rest.starts_with('.')) return {};
    rest.remove_prefix(1);
    if (!take_number(rest, *part)) return {};
  }
  return rest.empty() || rest[0] == ' ' || rest[0] == '\n' ? found : EnhancedCode{};
}

ReplyParser::Step ReplyParser::next(std::string_view& octets, Reply& out) {
  if (is_taken_) release();
  while (!octets.empty()) {
    const size_t partial_bytes = size_ - line_start_;
    // A line with its CR may be one longer than its maximum before the LF is due.
    const size_t look_bytes = std::min(octets.size(), reply_line_bytes_max + 2 - partial_bytes);
    const void* const found = std::memchr(octets.data(), '\n', look_bytes);
    if (!found) {
      const std::string_view part = octets.substr(0, look_bytes);
      append(part);
      if (partial_bytes + look_bytes == reply_line_bytes_max + 2) {
        return garbage({&buffer_[line_start_], partial_bytes + look_bytes},
                       "a line of the reply is too long", out);
      }
      octets = {};
      return Step::need_more;
    }
    std::string_view line =
        octets.substr(0, static_cast<size_t>(static_cast<const char*>(found) - octets.data()));
    octets.remove_prefix(line.size() + 1);
    if (partial_bytes) {
      append(line);
      line = std::string_view(&buffer_[line_start_], size_ - line_start_);
    }
    const Step step = take_line(without_cr(line), out);
    if (step != Step::need_more) return step;
  }
  return Step::need_more;
}

ReplyParser::Step ReplyParser::take_line(std::string_view line, Reply& out) {
  if (line.size() > reply_line_bytes_max)
    return garbage(line, "a line of the reply is too long", out);
  const uint16_t code = code_of(line);
  if (code == 0) return garbage(line, "not an SMTP reply", out);
  if (code_ != 0 && code != code_)
    return garbage(line, "the reply's lines have different codes", out);
  if (line_start_ + line.size() > reply_bytes_max)
    return garbage(line, "the reply is too long", out);
  if (++lines_ > reply_lines_max) return garbage(line, "the reply has too many lines", out);

  const bool is_last = line.size() == 3 || line[3] == ' ';
  if (is_last && !buffer_) {
    out = {.code = code, .text = line};
    lines_ = 0;
    return Step::reply;
  }
  // The line's octets may lie in the buffer already, as its raw end.
  if (size_ == line_start_) append(line);
  size_ = static_cast<uint16_t>(line_start_ + line.size());
  if (is_last) {
    out = {.code = code, .text = {buffer_.get(), size_}};
    is_taken_ = true;
    return Step::reply;
  }
  append("\n");
  line_start_ = size_;
  code_ = code;
  return Step::need_more;
}

ReplyParser::Step ReplyParser::garbage(std::string_view line, std::string_view reason, Reply& out) {
  out = {.code = 0, .text = line.substr(0, garbage_shown_bytes_max)};
  reason_ = reason;
  return Step::garbage;
}

void ReplyParser::append(std::string_view octets) {
  const size_t size = size_ + octets.size();
  CHECK(size <= buffer_bytes_max);
  if (size > capacity_) {
    size_t capacity = capacity_ ? capacity_ * size_t{2} : buffer_bytes_first;
    while (capacity < size) capacity *= 2;
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    std::copy_n(buffer_.get(), size_, larger.get());
    buffer_ = std::move(larger);
    capacity_ = static_cast<uint16_t>(capacity);
  }
  std::ranges::copy(octets, &buffer_[size_]);
  size_ = static_cast<uint16_t>(size);
}

void ReplyParser::release() { *this = ReplyParser(); }

}  // namespace sluice::engine::smtp
