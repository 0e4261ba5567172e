#include "tools/log_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "tools/terminal_text.h"

namespace sluice::tools {

namespace {

/// `2026-11-22 05:27:44` of a line's time.
std::string short_time(std::string_view time) {
  std::string out = terminal_text(time.substr(0, 19));
  if (out.size() > 10 && out[10] == 'T') out[10] = ' ';
  return out;
}

std::string rows(std::string_view text) {
  std::string out;
  // Trailing spaces only make terminals wrap.
  while (text.ends_with(' ')) text.remove_suffix(1);
  out += text;
  out += '\n';
  return out;
}

std::string count_text(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string peer(const LogRecord& record) {
  std::string out = terminal_text(record.host);
  const std::string remote = terminal_text(record.remote);
  if (out.empty() || remote.empty() || remote.starts_with(out))
    return out.size() > remote.size() ? out : remote;
  return out + " " + remote;
}

/// `text` in lines of at most `columns`, cut at spaces where there are some.
std::vector<std::string> wrapped(std::string text, size_t columns) {
  std::vector<std::string> lines;
  while (terminal_width(text) > columns) {
    size_t end = 0, space = 0;
    for (size_t i = 1;
         i <= text.size() && terminal_width(std::string_view(text).substr(0, i)) <= columns; ++i) {
      const bool is_border =
          i == text.size() || (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
      if (is_border) end = i;
      if (text[i - 1] == ' ') space = i;
    }
    const size_t cut = space > columns / 3 ? space : end;
    lines.push_back(text.substr(0, cut));
    text.erase(0, cut);
  }
  lines.push_back(std::move(text));
  return lines;
}

std::string history_row(const LogRecord& record) {
  const std::string attempt = record.attempt == 0 ? "" : std::to_string(record.attempt);
  std::string out = rows(fmt::format("  {} {} {} {} {} {}", fitted(short_time(record.time), 19),
                                     fitted(attempt, 3), fitted(terminal_text(record.event), 9),
                                     fitted(terminal_text(record.phase), 9),
                                     fitted(peer(record), 32), short_time(record.next_attempt)));
  constexpr size_t indent = 26;
  const std::string outcome = log_outcome(record);
  if (!outcome.empty())
    for (const std::string& line : wrapped(outcome, log_columns - indent))
      out += rows(std::string(indent, ' ') + line);
  return out;
}

}  // namespace

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
  return rows(fmt::format("{} {} {} {} {}", fitted("TIME (UTC)", 19), fitted("EVENT", 9),
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
  return rows(fmt::format("{} {} {} {} {}", fitted(short_time(record.time), 19),
                          fitted(terminal_text(record.event), 9), fitted(who, 30),
                          fitted(attempt, 3), fitted(what, log_columns - 65)));
}

void LogHistory::add(const LogRecord& record) {
  if (record.recipient.empty()) {
    if (record.event == "accepted") accepted_.try_emplace(record.campaign, record);
    return;
  }
  const std::string key = record.id + '\0' + record.campaign + '\0' + record.recipient;
  const auto [found, is_new] = by_id_.try_emplace(key, recipients_.size());
  if (is_new)
    recipients_.push_back({record.recipient, record.id, record.campaign, record.message_id, {}});
  Recipient& recipient = recipients_[found->second];
  if (recipient.message_id.empty()) recipient.message_id = record.message_id;
  // After a full disk a shard may repeat lines that were written already.
  const bool is_repeated = std::ranges::any_of(recipient.records, [&](const LogRecord& r) {
    return r.time == record.time && r.event == record.event && r.attempt == record.attempt;
  });
  if (!is_repeated) recipient.records.push_back(record);
}

std::string LogHistory::text(const Recipient& recipient) const {
  std::vector<LogRecord> records = recipient.records;
  std::ranges::sort(records, {}, [](const LogRecord& record) {
    return std::tie(record.time, record.attempt, record.event);
  });
  if (const auto accepted = accepted_.find(recipient.campaign); accepted != accepted_.end()) {
    records.insert(records.begin(), accepted->second);
    records.front().reason = "with " + count_text(accepted->second.recipients, "recipient");
  }
  std::string out = rows(terminal_text(recipient.address));
  const std::pair<std::string_view, const std::string*> facts[] = {
      {"campaign", &recipient.campaign}, {"id", &recipient.id}, {"message", &recipient.message_id}};
  for (const auto& [name, value] : facts)
    if (!value->empty()) out += rows(fmt::format("  {:<9}{}", name, terminal_text(*value)));
  out += rows(fmt::format("  {} {} {} {} {} {}", fitted("TIME (UTC)", 19), fitted("TRY", 3),
                          fitted("EVENT", 9), fitted("PHASE", 9), fitted("HOST", 32), "NEXT TRY"));
  for (const LogRecord& record : records) out += history_row(record);
  const LogRecord& last = records.back();
  if (!last.next_attempt.empty() && !last.expires.empty())
    out += rows(fmt::format("  waits; next try {}, given up {}", short_time(last.next_attempt),
                            short_time(last.expires)));
  return out;
}

std::string LogHistory::text() const {
  std::string out;
  for (const Recipient& recipient : recipients_) out += (out.empty() ? "" : "\n") + text(recipient);
  return out;
}

}  // namespace sluice::tools
