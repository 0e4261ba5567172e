#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/template.h"

namespace sluice::engine::mail {

/// The message as the operator wrote it, but with CRLF lines (LF, CR and CRLF end a line), and the
/// mistakes found in it. Views into text() know their line.
class SourceText {
 public:
  SourceText(std::string_view message, std::string_view path);
  SourceText(const SourceText&) = delete;
  SourceText& operator=(const SourceText&) = delete;

  std::string_view text() const { return text_; }
  /// Line, from 1, where `place`, a view into text(), begins.
  unsigned line_of(std::string_view place) const;

  /// Notes a mistake; `text` is put behind path and line. At most errors_max are kept.
  void fail(unsigned line, std::string_view text);
  void fail(std::string_view place, std::string_view text) { fail(line_of(place), text); }
  /// Notes a mistake outside the message.
  void fail_outside(std::string_view where, std::string_view text);

  bool has_errors() const { return !errors_.empty(); }
  /// In the order of lines, each once.
  std::vector<TemplateError> take_errors();

 private:
  static constexpr size_t errors_max = 100;

  std::string path_;
  std::string text_;
  std::vector<TemplateError> errors_;
};

/// `text` with each of LF, CR and CRLF made CRLF.
std::string to_crlf(std::string_view text);

}  // namespace sluice::engine::mail
