#include "engine/mail/address_list.h"

#include <optional>
#include <utility>

namespace sluice::engine::mail {
namespace {

class AddressListParser {
 public:
  explicit AddressListParser(std::string_view text) : text_(text) {}

  std::expected<std::vector<std::string>, AddressListError> run() {
    while (!error_ && skip_blanks() && at_ < text_.size()) {
      if (take(',')) continue;
      if (is_in_group_ && take(';')) {
        is_in_group_ = false;
        expect_separator();
      } else {
        element();
      }
    }
    if (!error_ && is_in_group_) fail("a group without its ;");
    if (error_) return std::unexpected(*error_);
    return std::move(addresses_);
  }

 private:
  /// Consecutive words: a phrase, or a local part.
  struct Words {
    std::string text;         // joined
    bool has_blanks = false;  // within: they cannot be one local part
    bool is_empty() const { return text.empty(); }
  };

  static bool is_special(char c) {
    return std::string_view("()<>[]:;@\\,\"").find(c) != std::string_view::npos;
  }
  static bool is_line_end(char c) { return c == '\r' || c == '\n'; }
  static bool is_blank(char c) { return (c >= 0 && c <= ' ') || c == 0x7f; }

  bool fail(std::string_view reason) {
    if (!error_) error_ = {at_, reason};
    return false;
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  /// Blanks, folds and comments (RFC 5322 section 3.2.2). False: an open comment.
  bool skip_blanks() {
    for (unsigned depth = 0; at_ < text_.size() || depth > 0; ++at_) {
      if (at_ == text_.size()) return fail("a comment without its )");
      const char c = text_[at_];
      if (c == '(') {
        ++depth;
      } else if (depth > 0 && c == ')') {
        --depth;
      } else if (depth > 0 && c == '\\') {
        if (++at_ == text_.size()) return fail("a comment without its )");
      } else if (depth == 0 && !is_blank(c)) {
        break;
      }
    }
    return true;
  }

  /// A quoted-string or domain literal with what encloses it, folds taken out.
  bool enclosed(char end, std::string_view open_reason, std::string& out) {
    out.push_back(text_[at_++]);
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (is_line_end(c)) continue;
      const bool is_escape = c == '\\' && at_ + 1 < text_.size();
      if (is_escape && is_line_end(text_[at_ + 1])) continue;
      out.push_back(c);
      if (c == end) {
        ++at_;
        return true;
      }
      if (is_escape) out.push_back(text_[++at_]);
    }
    return fail(open_reason);
  }

  std::optional<Words> words() {
    Words words;
    while (skip_blanks() && at_ < text_.size()) {
      const bool is_quoted = text_[at_] == '"';
      if (!is_quoted && is_special(text_[at_])) break;
      if (!words.is_empty() && words.text.back() != '.' && text_[at_] != '.')
        words.has_blanks = true;
      if (is_quoted) {
        if (!enclosed('"', "a quoted text without its end", words.text)) break;
      } else {
        while (at_ < text_.size() && !is_special(text_[at_]) && !is_blank(text_[at_]))
          words.text.push_back(text_[at_++]);
      }
    }
    if (error_) return {};
    return words;
  }

  /// What follows the @; appended to `address`.
  bool domain(std::string& address) {
    if (!skip_blanks()) return false;
    if (peek() == '[') {
      return enclosed(']', "an address literal without its ]", address) && skip_blanks();
    }
    const auto name = words();
    if (!name) return false;
    if (name->is_empty()) return fail("nothing behind an @");
    if (name->has_blanks) return fail("a comma is missing, or a blank is too many");
    address += name->text;
    return true;
  }

  bool address(Words&& local) {
    if (local.is_empty()) return fail("an @ with nothing before it");
    if (local.has_blanks) return fail("blanks in an address; a name is followed by <address>");
    if (take('@')) {
      local.text.push_back('@');
      if (!domain(local.text)) return false;
    }
    addresses_.push_back(std::move(local.text));
    return true;
  }

  /// RFC 5322 section 4.4: `@a,@b:` in front of the address; nobody routes by it (RFC 5321
  /// appendix C).
  bool skip_route() {
    while (take(',')) skip_blanks();
    while (take('@')) {
      std::string passed_over;
      if (!domain(passed_over)) return false;
      while (take(',') && skip_blanks()) continue;
    }
    return take(':') || fail("a route without its :");
  }

  /// Behind the <.
  bool angle() {
    if (!skip_blanks()) return false;
    if ((peek() == '@' || peek() == ',') && !skip_route()) return false;
    auto local = words();
    if (!local) return false;
    if (local->is_empty() && peek() == '>') return fail("no address within <>");
    if (!address(std::move(*local))) return false;
    return take('>') || fail("< without >");
  }

  void expect_separator() {
    if (!skip_blanks() || at_ == text_.size()) return;
    if (peek() != ',' && !(is_in_group_ && peek() == ';')) fail("a comma is missing");
  }

  void element() {
    auto first = words();
    if (!first) return;
    if (take('<')) {
      if (!angle()) return;
    } else if (!is_in_group_ && !first->is_empty() && take(':')) {
      is_in_group_ = true;
      return;
    } else if (first->is_empty() && peek() != '@') {
      fail("a character that must be quoted");
      return;
    } else if (!address(std::move(*first))) {
      return;
    }
    expect_separator();
  }

  const std::string_view text_;
  size_t at_ = 0;
  bool is_in_group_ = false;
  std::vector<std::string> addresses_;
  std::optional<AddressListError> error_;
};

}  // namespace

std::expected<std::vector<std::string>, AddressListError> parse_address_list(
    std::string_view value) {
  return AddressListParser(value).run();
}

}  // namespace sluice::engine::mail
