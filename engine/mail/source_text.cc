#include "engine/mail/source_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/check.h"

namespace sluice::engine::mail {

std::string to_crlf(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32 + 2);
  while (!text.empty()) {
    const size_t end = text.find_first_of("\r\n");
    out += text.substr(0, end);
    if (end == text.npos) break;
    out += "\r\n";
    text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  return out;
}

SourceText::SourceText(std::string_view message, std::string_view path)
    : path_(path), text_(to_crlf(message)) {}

unsigned SourceText::line_of(std::string_view place) const {
  CHECK(place.data() >= text_.data() && place.data() <= text_.data() + text_.size());
  return 1 + static_cast<unsigned>(std::count(text_.data(), place.data(), '\n'));
}

void SourceText::fail(unsigned line, std::string_view text) {
  if (errors_.size() < errors_max)
    errors_.push_back({line, fmt::format("{}:{}: {}", path_, line, text)});
}

void SourceText::fail_outside(std::string_view where, std::string_view text) {
  if (errors_.size() < errors_max) errors_.push_back({0, fmt::format("{}: {}", where, text)});
}

std::vector<TemplateError> SourceText::take_errors() {
  std::ranges::sort(errors_, {}, [](const TemplateError& error) {
    return std::pair<unsigned, std::string_view>(error.line, error.text);
  });
  const auto repeated = std::ranges::unique(errors_, {}, &TemplateError::text);
  errors_.erase(repeated.begin(), repeated.end());
  return std::move(errors_);
}

}  // namespace sluice::engine::mail
