#include "engine/mail/mustache.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::engine::mail {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

class Scanner {
 public:
  Scanner(std::string_view text, bool trim_lines) : text_(text), trim_lines_(trim_lines) {}

  MustacheText run() {
    while (next_tag()) {
    }
    put_text(text_.size());
    for (const auto& section : open_) {
      fail(section.offset,
           fmt::format("section {{{{{}{}}}}} is not closed", section.mark, section.name));
    }
    std::ranges::sort(out_.errors, {}, &MustacheError::offset);
    return std::move(out_);
  }

 private:
  struct Section {
    char mark;
    std::string_view name;
    size_t offset;
  };

  void fail(size_t offset, std::string text) { out_.errors.push_back({offset, std::move(text)}); }

  void put_text(size_t end) {
    if (end > at_) {
      out_.tokens.push_back({MustacheToken::Kind::text, true, text_.substr(at_, end - at_), at_});
    }
  }

  // Takes the text up to the next tag, and the tag. False when there is none.
  bool next_tag() {
    const size_t begin = text_.find(open_mark_, at_);
    if (begin == text_.npos) return false;
    const size_t inside = begin + open_mark_.size();
    const char mark = inside < text_.size() ? text_[inside] : '\0';
    const auto close = mark == '{'   ? "}" + close_mark_
                       : mark == '=' ? "=" + close_mark_
                                     : close_mark_;
    const size_t end = text_.find(close, inside + (mark == '{' || mark == '='));
    const auto content = text_.substr(inside, end == text_.npos ? end : end - inside);
    // A comment may go over lines; a name that does belongs to a tag somebody forgot to close.
    const bool runs_on = mark != '!' && (content.find('\n') != content.npos ||
                                         content.find(open_mark_) != content.npos);
    if (end == text_.npos || runs_on) {
      const auto shown = content.substr(0, std::min<size_t>(content.find_first_of("\r\n "), 40));
      fail(begin, fmt::format("tag {}{} is not closed with {}", open_mark_, shown, close));
      put_text(inside);
      at_ = inside;
      return true;
    }
    take(begin, end + close.size(), mark, content);
    return true;
  }

  void take(size_t begin, size_t end, char mark, std::string_view content) {
    const bool has_mark =
        mark != '\0' && std::string_view("#^/!=&>{").find(mark) != std::string_view::npos;
    const auto name = trimmed(has_mark ? content.substr(1) : content);
    using enum MustacheToken::Kind;
    if (has_mark && mark != '&' && mark != '{' && mark != '>') trim_line(begin, end);
    put_text(std::max(begin, at_));
    at_ = end;
    if (name.empty() && mark != '!') return fail(begin, "a tag without a name");
    switch (has_mark ? mark : '\0') {
      case '!': return;
      case '=': return set_delimiters(begin, name);
      case '>':
        return fail(begin, fmt::format("partial {{{{>{}}}}}: there are no partials here", name));
      case '#':
      case '^':
        open_.push_back({mark, name, begin});
        out_.tokens.push_back({mark == '#' ? section : inverted, true, name, begin});
        return;
      case '/':
        if (open_.empty() || open_.back().name != name) {
          const auto expected = open_.empty() ? std::string("no section is open")
                                              : fmt::format("the open section is {{{{{}{}}}}}",
                                                            open_.back().mark, open_.back().name);
          return fail(begin, fmt::format("{{{{/{}}}}} closes nothing: {}", name, expected));
        }
        open_.pop_back();
        out_.tokens.push_back({close, true, name, begin});
        return;
      default: out_.tokens.push_back({variable, mark != '{' && mark != '&', name, begin});
    }
  }

  // Widens a tag that stands alone on its line to the whole line.
  void trim_line(size_t& begin, size_t& end) const {
    if (!trim_lines_) return;
    size_t first = begin, last = end;
    while (first > 0 && is_blank(text_[first - 1])) --first;
    while (last < text_.size() && is_blank(text_[last])) ++last;
    const bool alone = (first == 0 || text_[first - 1] == '\n') &&
                       (last == text_.size() || text_.substr(last, 2) == "\r\n");
    if (!alone) return;
    begin = first;
    end = std::min(last + 2, text_.size());
  }

  void set_delimiters(size_t begin, std::string_view marks) {
    const auto gap = std::ranges::find_if(marks, is_space);
    const std::string_view first(marks.begin(), gap);
    const auto second = trimmed(marks.substr(first.size()));
    const bool valid = !second.empty() && first.find('=') == first.npos &&
                       second.find('=') == second.npos && std::ranges::none_of(second, is_space);
    if (!valid) return fail(begin, "a set-delimiter tag looks like {{=<% %>=}}");
    open_mark_ = first;
    close_mark_ = second;
  }

  const std::string_view text_;
  const bool trim_lines_;
  size_t at_ = 0;
  std::string open_mark_ = "{{", close_mark_ = "}}";
  std::vector<Section> open_;
  MustacheText out_;
};

}  // namespace

MustacheText scan_mustache(std::string_view text, bool trim_lines) {
  return Scanner(text, trim_lines).run();
}

}  // namespace sluice::engine::mail
