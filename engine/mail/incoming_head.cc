#include "engine/mail/incoming_head.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/mail/date_text.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// `lower` is in lower case.
bool is_name(std::string_view name, std::string_view lower) {
  return std::ranges::equal(name, lower, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

}  // namespace

void IncomingHead::begin(Completion completion, std::string_view message_id, io::WallTime now) {
  state_ = State::line_start;
  completion_ = completion;
  field_ = Line::none;
  has_date_ = has_from_ = has_message_id_ = false;
  hops_ = 0;
  held_bytes_ = 0;
  to_give_ = {};
  standard_message_id_ = message_id;
  now_ = now;
  message_id_.clear();
}

/// Fields of the author's program stand below those of servers, so at the first of them it is known
/// whether there was a server.
bool IncomingHead::is_submission() const {
  return completion_ == Completion::always || (completion_ == Completion::automatic && hops_ == 0);
}

IncomingHead::Reading IncomingHead::read(std::string_view start) const {
  if (is_blank(start.front()))
    return {.line = field_ == Line::none ? Line::none : Line::continuation, .bytes = 1};
  if (start.front() == '\r') return {.line = Line::empty, .bytes = 1};
  const size_t end = start.substr(0, held_bytes_max).find_first_of(":\r\n");
  if (end == start.npos)
    return {.line = Line::other, .bytes = start.size() < held_bytes_max ? 0 : held_bytes_max};
  std::string_view name = start.substr(0, end);
  constexpr std::string_view mbox = "From ";
  if (name.starts_with(mbox) && field_ == Line::none &&
      name.find_first_not_of(' ', mbox.size()) != name.npos)
    return {.line = Line::mbox, .bytes = mbox.size()};
  // Blanks before the colon: RFC 5322 section 4.5.
  while (!name.empty() && is_blank(name.back())) name.remove_suffix(1);
  const bool is_field = start[end] == ':' && !name.empty() &&
                        std::ranges::all_of(name, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_field) return {.line = Line::none, .bytes = end};
  constexpr std::pair<std::string_view, Line> names[] = {
      {"bcc", Line::bcc},           {"date", Line::date},
      {"from", Line::from},         {"message-id", Line::message_id},
      {"received", Line::received}, {"resent-bcc", Line::bcc},
      {"return-path", Line::bcc}};
  const auto* const known =
      std::ranges::find_if(names, [name](const auto& entry) { return is_name(name, entry.first); });
  return {.line = known == std::end(names) ? Line::other : known->second, .bytes = end + 1};
}

bool IncomingHead::is_dropped(Line line) const {
  return (line == Line::bcc || line == Line::mbox) && is_submission();
}

void IncomingHead::begin_line(Line line) {
  state_ = State::line;
  if (line == Line::continuation) return;
  field_ = line;
  if (line == Line::date) has_date_ = true;
  if (line == Line::from) has_from_ = true;
  if (line == Line::received) ++hops_;
  // The first one is the message's.
  if (line == Line::message_id && std::exchange(has_message_id_, true)) field_ = Line::other;
}

std::string_view IncomingHead::next(std::string_view& piece) {
  if (!to_give_.empty()) return std::exchange(to_give_, {});
  if (state_ == State::body) return std::exchange(piece, {});
  if (held_bytes_ > 0) return next_held(piece);
  size_t at = 0;  // what is before is to be stored
  while (at < piece.size()) {
    if (state_ == State::line) {
      const size_t feed = piece.find('\n', at);
      const size_t end = feed == piece.npos ? piece.size() : feed + 1;
      if (field_ == Line::message_id) note_message_id(piece.substr(at, end - at));
      if (feed != piece.npos) state_ = State::line_start;
      if (is_dropped(field_))
        piece.remove_prefix(end);  // nothing is before it
      else
        at = end;
      continue;
    }
    const Reading reading = read(piece.substr(at));
    const Line line = reading.line == Line::continuation ? field_ : reading.line;
    const bool is_end = line == Line::empty || line == Line::none;
    if (at > 0 && (is_end || reading.bytes == 0 || is_dropped(line))) break;
    if (is_end) return end_header(line, piece);
    if (reading.bytes == 0) {
      held_bytes_ = static_cast<uint8_t>(piece.copy(held_.data(), held_.size()));
      piece = {};
      break;
    }
    begin_line(reading.line);
    if (is_dropped(line))
      piece.remove_prefix(reading.bytes);
    else
      at += reading.bytes;
  }
  const std::string_view out = piece.substr(0, at);
  piece.remove_prefix(at);
  return out;
}

/// Goes on with a line that the last piece only began, up to the octet that tells what it is.
std::string_view IncomingHead::next_held(std::string_view& piece) {
  while (!piece.empty()) {
    held_[held_bytes_++] = piece.front();
    piece.remove_prefix(1);
    const std::string_view held(held_.data(), held_bytes_);
    const Reading reading = read(held);
    if (reading.bytes == 0) continue;
    held_bytes_ = 0;
    if (reading.line == Line::none) {
      to_give_ = held;
      return end_header(reading.line, to_give_);
    }
    begin_line(reading.line);
    return is_dropped(reading.line) ? next(piece) : held;
  }
  return {};
}

/// `rest` begins with the line that ends the header.
std::string_view IncomingHead::end_header(Line line, std::string_view& rest) {
  complete();
  if (line == Line::none && is_submission()) added_ += "\r\n";
  return added_.empty() ? std::exchange(rest, {}) : added_;
}

std::string_view IncomingHead::end() {
  CHECK(held_bytes_ == 0 && state_ != State::line);
  if (state_ == State::body) return {};
  complete();
  return added_;
}

void IncomingHead::complete() {
  state_ = State::body;
  added_.clear();
  if (!is_submission()) return;
  if (!has_date_) added_.append("Date: ").append(date_text(now_)).append("\r\n");
  if (has_message_id_) return;
  message_id_ = standard_message_id_;
  added_.append("Message-ID: ").append(message_id_).append("\r\n");
}

void IncomingHead::note_message_id(std::string_view value) {
  for (const char c : value) {
    if (message_id_.size() == message_id_bytes_max) return;
    if (c == '\r' || c == '\n' || (is_blank(c) && message_id_.empty())) continue;
    message_id_ += c;
  }
}

std::string_view IncomingHead::message_id() const {
  return std::string_view(message_id_).substr(0, message_id_.find_last_not_of(" \t") + 1);
}

}  // namespace sluice::engine::mail
