#include "tools/log_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "tools/log_table.h"
#include "tools/terminal_text.h"

namespace sluice::tools {

using engine::report::LogRecord;

namespace {

constexpr size_t indent = 26;

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

std::string count_text(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string_view domain_of(std::string_view address) {
  const size_t at = address.rfind('@');
  return at == address.npos ? std::string_view() : address.substr(at + 1);
}

/// An attempt of the recipient itself: the others tell how many there were.
bool is_attempt(const LogRecord& record) {
  return record.event == "delivered" || record.event == "deferred" || record.event == "failed" ||
         record.event == "in_doubt";
}

bool is_before_mail(const LogRecord& record) {
  constexpr std::array<std::string_view, 6> phases = {"dns",  "connect",  "greeting",
                                                      "ehlo", "starttls", "auth"};
  return std::ranges::find(phases, record.phase) != phases.end();
}

/// What an attempt came to, but for its numbers: queue ids and times differ from one to the next.
std::string gist(const LogRecord& record) {
  std::string out = record.phase + ' ' + log_outcome(record);
  const std::string code = std::to_string(record.code) + ' ' + record.enhanced;
  std::erase_if(out, [](char c) { return c >= '0' && c <= '9'; });
  return code + out;
}

bool is_same_second(const std::string& a, const std::string& b) {
  constexpr size_t to_the_second = 19;
  return a.compare(0, to_the_second, b, 0, to_the_second) == 0;
}

std::string table_head() {
  return log_line(fmt::format("  {} {} {} {} {} {}", fitted("TIME (UTC)", 19), fitted("TRY", 3),
                              fitted("EVENT", 9), fitted("PHASE", 9), fitted("HOST", 32),
                              "NEXT TRY"));
}

}  // namespace

bool LogHistory::is_setback(const LogRecord& record) {
  return record.event == "deferred" && is_before_mail(record);
}

void LogHistory::add_setback(const LogRecord& record) {
  const std::string_view domain = domain_of(record.recipient);
  const auto is_same = [&](const Setback& known) {
    return known.record.host == record.host && known.record.phase == record.phase &&
           known.record.reason == record.reason && known.record.text == record.text &&
           (is_same_second(known.record.time, record.time) ||
            is_same_second(known.record.next_attempt, record.next_attempt)) &&
           (!record.host.empty() || known.domains.contains(domain));
  };
  // Those it was told with stand together, but for what other shards write.
  constexpr size_t near = 64;
  const size_t from = setbacks_.size() - std::min(near, setbacks_.size());
  for (size_t i = setbacks_.size(); i-- > from;)
    if (is_same(setbacks_[i])) {
      if (!setbacks_[i].domains.contains(domain)) setbacks_[i].domains.emplace(domain);
      return;
    }
  if (setbacks_.size() == setbacks_max) {
    is_full_ = true;
    return;
  }
  setbacks_.push_back({record, {std::string(domain)}});
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

/// Those of its domain; where none is known, those of hosts that it went to as well: next hops are
/// of many domains.
std::vector<const LogRecord*> LogHistory::setbacks(const std::string& after,
                                                   const std::string& before,
                                                   std::string_view domain,
                                                   const std::set<std::string>& hosts) const {
  std::vector<const LogRecord*> of_domain, of_host;
  for (const Setback& setback : setbacks_) {
    if (setback.record.time <= after || setback.record.time >= before) continue;
    if (setback.domains.contains(domain))
      of_domain.push_back(&setback.record);
    else if (hosts.contains(setback.record.host))
      of_host.push_back(&setback.record);
  }
  auto& out = of_domain.empty() ? of_host : of_domain;
  std::ranges::sort(out, {}, [](const LogRecord* record) { return record->time; });
  return out;
}

std::vector<LogHistory::Row> LogHistory::rows(const std::vector<LogRecord>& records,
                                              std::string_view domain) const {
  std::set<std::string> hosts;
  for (const LogRecord& record : records)
    if (!record.host.empty()) hosts.insert(record.host);
  std::vector<Row> out;
  uint64_t known = 0;  // attempts shown, or told to have been
  std::string since;
  for (const LogRecord& record : records) {
    // Given up after failed connections: the line is of no further one.
    const bool is_further =
        is_attempt(record) && !(record.event == "failed" && is_before_mail(record));
    const uint64_t missing =
        record.attempt > known + is_further ? record.attempt - known - is_further : 0;
    std::vector<const LogRecord*> others;
    if (missing > 0) others = setbacks(since, record.time, domain, hosts);
    if (others.size() > missing)
      others.erase(others.begin(), others.end() - static_cast<ptrdiff_t>(missing));
    uint64_t attempt = known + missing - others.size();
    for (const LogRecord* other : others) out.push_back({other, ++attempt, true});
    out.push_back({&record, record.attempt, false});
    known = std::max(known, record.attempt);
    since = record.time;
  }
  // It was due again, and there was another setback: its line may be of others.
  const LogRecord& last = records.back();
  if (last.event == "deferred")
    for (const LogRecord* other : setbacks(last.time, "~", domain, {}))
      if (other->time >= last.next_attempt) out.push_back({other, ++known, true});
  return out;
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
  std::string out = log_line(terminal_text(recipient.address));
  const std::pair<std::string_view, const std::string*> facts[] = {
      {"campaign", &recipient.campaign}, {"id", &recipient.id}, {"message", &recipient.message_id}};
  for (const auto& [name, value] : facts)
    if (!value->empty()) out += log_line(fmt::format("  {:<9}{}", name, terminal_text(*value)));
  out += table_head();
  const std::string_view domain = domain_of(recipient.address);
  std::string before;  // gist of the attempt before
  const std::vector<Row> rows = this->rows(records, domain);
  for (const Row& row : rows) {
    const LogRecord& record = *row.record;
    const std::string attempt = row.attempt == 0 ? "" : std::to_string(row.attempt);
    out += log_line(fmt::format("  {} {} {} {} {} {}", fitted(log_clock(record.time), 19),
                                fitted(attempt, 3), fitted(terminal_text(record.event), 9),
                                fitted(terminal_text(record.phase), 9), fitted(peer(record), 32),
                                log_clock(record.next_attempt)));
    std::string outcome = log_outcome(record);
    if (is_attempt(record)) {
      const std::string now = gist(record);
      if (!before.empty() && before != now && record.event != "delivered")
        outcome = "changed: " + outcome;
      before = now;
    }
    if (row.is_with_others) outcome += fmt::format(" (with others of {})", terminal_text(domain));
    if (!outcome.empty())
      for (const std::string& line : wrapped(outcome, log_columns - indent))
        out += log_line(std::string(indent, ' ') + line);
    if (!record.local.empty())
      out += log_line(fmt::format("{}from {} to {}", std::string(indent, ' '),
                                  terminal_text(record.local), terminal_text(record.remote)));
  }
  const LogRecord& last = *rows.back().record;
  const std::string& expires = records.back().expires;  // another's line has another's
  if (!last.next_attempt.empty() && !expires.empty())
    out += log_line(fmt::format("  waits; next try {}, given up {}", log_clock(last.next_attempt),
                                log_clock(expires)));
  return out;
}

std::string LogHistory::text_of_destination(const std::string& address) const {
  const std::string_view domain = domain_of(address);
  const auto others = setbacks("", "~", domain, {});
  std::string out = log_line(terminal_text(address));
  out += log_line(fmt::format(
      "  The log has no line of this recipient. If it waits: sluice queue list --recipient {}",
      terminal_text(address)));
  if (others.empty()) return out;
  out += log_line(fmt::format("  Failed connections to {} that others who wait there were told of:",
                              terminal_text(domain)));
  for (const LogRecord* record : others)
    out += log_line(fmt::format("  {} {} {} {}", log_clock(record->time),
                                fitted(terminal_text(record->phase), 9), fitted(peer(*record), 32),
                                log_outcome(*record)));
  return out;
}

std::string LogHistory::text(const std::string& asked) const {
  std::string out;
  for (const Recipient& recipient : recipients_) out += (out.empty() ? "" : "\n") + text(recipient);
  if (recipients_.empty() && !asked.empty()) out = text_of_destination(asked);
  if (is_full_)
    out += fmt::format("There are more than {} failed connections; select less to see all.\n",
                       setbacks_max);
  return out;
}

}  // namespace sluice::tools
