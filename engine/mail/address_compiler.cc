#include "engine/mail/address_compiler.h"

#include <algorithm>

#include "engine/mail/charset.h"

namespace sluice::engine::mail {
namespace {

using Kind = MustacheToken::Kind;

bool opens(const MustacheToken& token) {
  return token.kind == Kind::section || token.kind == Kind::inverted;
}
bool is_border(const MustacheToken& token) { return opens(token) || token.kind == Kind::close; }

}  // namespace

void AddressCompiler::run(const std::vector<MustacheToken>& tokens) {
  for (const auto& token : tokens) {
    if (token.kind == Kind::text) {
      for (const char c : token.text) take(c);
    } else if (comment_depth_ > 0) {
      hooks_.fail("a tag within a comment of an address header");
    } else {
      run_.push_back({token, {}, {}});
    }
  }
  if (in_quotes_ || in_angle_ || comment_depth_ > 0) {
    hooks_.fail("an address header ends within quotes, <> or a comment");
  }
  end_run(Layout::mailbox);
}

void AddressCompiler::put(char c, bool in_name, bool in_address) {
  if (run_.empty() || run_.back().token.kind != Kind::text) run_.push_back({});
  if (in_name) run_.back().as_name.push_back(c);
  if (in_address) run_.back().as_address.push_back(c);
}

void AddressCompiler::take(char c) {
  if (in_quotes_) return take_within_quotes(c);
  if (comment_depth_ > 0) return take_within_comment(c);
  switch (c) {
    case '"': in_quotes_ = true; return put(c, false, true);
    case '(':
      comment_depth_ = 1;
      comment_ = "(";
      return;
    case '<':
      if (in_angle_) return hooks_.fail("< within <>");
      end_run(Layout::phrase);
      in_angle_ = true;
      return;
    case '>':
      if (!in_angle_) return hooks_.fail("> without <");
      end_run(Layout::angle);
      in_angle_ = false;
      return;
    case ',':
      if (in_angle_) break;
      end_run(Layout::mailbox);
      builder_.end(builder_.begin_element(Layout::comma));
      return;
    case ':':
      if (in_angle_) break;
      end_run(Layout::phrase);
      return put_token(":");
    case ';':
      if (in_angle_) break;
      end_run(Layout::mailbox);
      return put_token(";");
    default: break;
  }
  put(c, true, true);
}

void AddressCompiler::take_within_quotes(char c) {
  const bool escaped = after_backslash_;
  after_backslash_ = c == '\\' && !escaped;
  if (c == '"' && !escaped) in_quotes_ = false;
  put(c, escaped || (c != '"' && c != '\\'), true);
}

void AddressCompiler::take_within_comment(char c) {
  comment_.push_back(c);
  const bool escaped = after_backslash_;
  after_backslash_ = c == '\\' && !escaped;
  if (escaped) return;
  comment_depth_ += c == '(';
  comment_depth_ -= c == ')';
  if (comment_depth_ > 0) return;
  // It stands behind an address; what it says in other characters no syntax can carry.
  end_run(Layout::mailbox);
  if (is_ascii(comment_)) put_token(comment_);
}

// Which borders of the run have their other end outside of it?
std::vector<bool> AddressCompiler::unmatched_borders() const {
  std::vector<bool> unmatched(run_.size());
  std::vector<size_t> open;
  for (size_t i = 0; i < run_.size(); ++i) {
    if (opens(run_[i].token)) {
      open.push_back(i);
    } else if (run_[i].token.kind == Kind::close) {
      if (open.empty()) {
        unmatched[i] = true;
      } else {
        open.pop_back();
      }
    }
  }
  for (const size_t i : open) unmatched[i] = true;
  return unmatched;
}

void AddressCompiler::end_run(Layout layout) {
  const auto unmatched = unmatched_borders();
  const auto is_outside = [&](size_t i) {
    const auto& piece = run_[i];
    const bool blank = piece.token.kind == Kind::text &&
                       piece.as_address.find_first_not_of(" \t") == std::string::npos;
    return unmatched[i] || blank;
  };
  size_t begin = 0, end = run_.size();
  while (begin < end && is_outside(begin)) ++begin;
  while (end > begin && is_outside(end - 1)) --end;
  for (size_t i = begin; i < end; ++i) {
    if (unmatched[i])
      hooks_.fail(
          "a section of an address header holds whole addresses, or lies within a name or an "
          "address");
  }
  if (layout == Layout::angle && std::ranges::find(unmatched, true) != unmatched.end()) {
    hooks_.fail("a section begins or ends within <>");
  }
  for (size_t i = 0; i < begin; ++i) put_border(run_[i]);
  if (begin < end) put_element(layout, begin, end);
  for (size_t i = end; i < run_.size(); ++i) put_border(run_[i]);
  run_.clear();
}

void AddressCompiler::put_border(const Piece& piece) {
  if (!is_border(piece.token)) return;
  if (piece.token.kind == Kind::close) {
    if (sections_.empty()) return;  // an error told already
    builder_.end(sections_.back());
    sections_.pop_back();
    return;
  }
  const auto column = hooks_.column_of(piece.token);
  sections_.push_back(
      builder_.begin_section(piece.token.kind == Kind::section ? Op::section : Op::inverted,
                             column.value_or(address_column)));
}

void AddressCompiler::put_element(Layout layout, size_t begin, size_t end) {
  const uint32_t element = builder_.begin_element(layout);
  std::vector<uint32_t> open;
  for (size_t i = begin; i < end; ++i) {
    const auto& token = run_[i].token;
    if (token.kind == Kind::text) {
      const auto& text = layout == Layout::phrase ? run_[i].as_name : run_[i].as_address;
      if (layout != Layout::phrase && !is_ascii(text)) builder_.set_has_utf8_envelope();
      builder_.text(text);
    } else if (token.kind == Kind::close) {
      if (open.empty()) continue;  // an error told already
      builder_.end(open.back());
      open.pop_back();
    } else if (const auto column = hooks_.column_of(token); opens(token)) {
      open.push_back(
          builder_.begin_section(token.kind == Kind::section ? Op::section : Op::inverted,
                                 column.value_or(address_column)));
    } else if (column) {
      hooks_.forbid_newline(token);
      builder_.slot(*column, Escape::none);
    }
  }
  for (; !open.empty(); open.pop_back()) builder_.end(open.back());
  builder_.end(element);
}

void AddressCompiler::put_token(std::string_view text) {
  const uint32_t element = builder_.begin_element(Layout::token);
  builder_.text(text);
  builder_.end(element);
}

}  // namespace sluice::engine::mail
