#include "tools/log_table.h"

#include <fmt/format.h>

#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::LogRecord;

namespace {

std::string count_text(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::string log_clock(std::string_view time) {
  std::string out = terminal_text(time.substr(0, 19));
  if (out.size() > 10 && out[10] == 'T') out[10] = ' ';
  return out;
}

std::string log_line(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  return std::string(text) + "\n";
}

std::string log_outcome(const LogRecord& record) {
  std::string out;
  // The reply is whole in `text`; servers differ in whether their own text repeats the codes.
  const std::string text = terminal_text(record.text);
  const std::string code = record.code == 0 ? "" : std::to_string(record.code);
  const std::string enhanced = terminal_text(record.enhanced);
  if (!code.empty() && !text.starts_with(code)) out = code;
  if (!enhanced.empty() && text.find(enhanced) == std::string::npos)
    out += (out.empty() ? "" : " ") + enhanced;
  if (!text.empty()) out += (out.empty() ? "" : " ") + text;
  if (!record.reason.empty())
    out += (out.empty() ? "" : " (") + terminal_text(record.reason) + (out.empty() ? "" : ")");
  if (out.empty() && record.recipients != 0) out = count_text(record.recipients, "recipient");
  return out;
}

std::string log_table_head() {
  return log_line(fmt::format("{} {} {} {} {}", fitted("TIME (UTC)", 19), fitted("EVENT", 9),
                              fitted("RECIPIENT", 30), fitted("TRY", 3), "OUTCOME"));
}

std::string log_table_row(const LogRecord& record) {
  const std::string who =
      terminal_text(record.recipient.empty() ? record.campaign : record.recipient);
  const std::string attempt = record.attempt == 0 ? "" : std::to_string(record.attempt);
  std::string what = log_outcome(record);
  const bool says_phase =
      record.event != "delivered" && !record.phase.empty() && !what.starts_with(record.phase);
  if (says_phase) what = terminal_text(record.phase) + ": " + what;
  return log_line(fmt::format("{} {} {} {} {}", fitted(log_clock(record.time), 19),
                              fitted(terminal_text(record.event), 9), fitted(who, 30),
                              fitted(attempt, 3), fitted(what, log_columns - 65)));
}

}  // namespace sluice::tools
