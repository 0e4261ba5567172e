#include "engine/dkim/signed_header.h"

#include <algorithm>
#include <utility>

namespace sluice::engine::dkim {
namespace {

constexpr size_t name_bytes_max = 32;  // no signed field's is longer
constexpr size_t line_bytes_max = 78;  // RFC 5322 section 2.1.1

bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

void SignedHeader::clear() {
  constexpr size_t bytes_kept = 16384;
  state_ = State::line_start;
  has_field_ = has_blank_ = is_too_large_ = false;
  name_.clear();
  values_.clear();
  fields_.clear();
  if (values_.capacity() > bytes_kept) values_.shrink_to_fit();
}

void SignedHeader::update(std::string_view octets) {
  while (!octets.empty()) {
    if (state_ == State::line_start) begin_line(octets.front());
    size_t taken = 1;
    switch (state_) {
      case State::line_start: break;
      case State::skipped:    taken = std::min(octets.find('\n'), octets.size() - 1) + 1; break;
      case State::name:       take_name(octets.front()); break;
      case State::value:      taken = take_value(octets); break;
    }
    // Content that is fit to be sent has no LF but at the end of a line.
    if (octets[taken - 1] == '\n') state_ = State::line_start;
    octets.remove_prefix(taken);
  }
}

void SignedHeader::begin_line(char c) {
  if (is_blank(c)) {
    state_ = has_field_ ? State::value : State::skipped;
    return;
  }
  end_field();
  name_.clear();
  has_blank_ = false;
  state_ = State::name;
}

void SignedHeader::take_name(char c) {
  if (c == ':') return end_name();
  // RFC 5322 section 4.5: blanks between a name and its colon, and nowhere else.
  if (is_blank(c)) {
    has_blank_ = true;
    return;
  }
  if (has_blank_ || name_.size() == name_bytes_max) {
    state_ = State::skipped;
    return;
  }
  name_.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
}

void SignedHeader::end_name() {
  const auto* const field =
      std::ranges::find(signed_fields, std::string_view(name_), &SignedField::lower);
  const bool has_room = values_.size() < bytes_max && fields_.size() < fields_max;
  if (field == signed_fields.end() || !has_room) {
    is_too_large_ |= field != signed_fields.end();
    state_ = State::skipped;
    return;
  }
  fields_.push_back(
      {static_cast<uint16_t>(field - signed_fields.begin()), values_.size(), std::string::npos});
  has_field_ = true;
  has_blank_ = false;
  state_ = State::value;
}

/// Takes a run of text, or one other octet; returns how many.
size_t SignedHeader::take_value(std::string_view octets) {
  const auto is_text = [](char c) { return !is_blank(c) && c != '\r' && c != '\n'; };
  const auto* const end = std::ranges::find_if_not(octets, is_text);
  const std::string_view text(octets.begin(), end);
  if (text.empty()) {
    has_blank_ |= is_blank(octets.front());
    return 1;
  }
  if (values_.size() + text.size() >= bytes_max) {
    is_too_large_ = true;
    return text.size();
  }
  if (std::exchange(has_blank_, false) && values_.size() > fields_.back().begin)
    values_.push_back(' ');
  values_ += text;
  return text.size();
}

void SignedHeader::end_field() {
  if (std::exchange(has_field_, false)) fields_.back().end = values_.size();
}

void SignedHeader::finish() { end_field(); }

std::string_view SignedHeader::last(size_t field) const {
  const auto found = std::ranges::find(fields_.rbegin(), fields_.rend(), field, &Field::field);
  return found == fields_.rend() ? std::string_view() : value(*found);
}

unsigned SignedHeader::count(size_t field) const {
  return static_cast<unsigned>(std::ranges::count(fields_, field, &Field::field));
}

void SignedHeader::append_names(std::string& out, size_t column) const {
  bool is_first = true;
  for (size_t field = 0; field < signed_fields.size(); ++field) {
    const SignedField& signed_field = signed_fields[field];
    const unsigned times = count(field) + (signed_field.is_oversigned ? 1 : 0);
    for (unsigned i = 0; i < times; ++i) {
      if (!std::exchange(is_first, false)) {
        out.push_back(':');
        ++column;
        if (column + signed_field.name.size() + 1 > line_bytes_max) {
          out += "\r\n\t";
          column = 8;
        }
      }
      out += signed_field.name;
      column += signed_field.name.size();
    }
  }
}

}  // namespace sluice::engine::dkim
