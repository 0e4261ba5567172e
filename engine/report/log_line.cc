#include "engine/report/log_line.h"

#include <arpa/inet.h>

#include "engine/report/json_writer.h"

namespace sluice::engine::report {

namespace {

constexpr std::string_view event_names[] = {"accepted",  "delivered", "deferred", "failed",
                                            "expired",   "delayed",   "held",     "released",
                                            "cancelled", "in_doubt"};

/// `"192.0.2.7:25"`, as SocketAddress::text() has it, without its string.
void append_address(std::string& out, const io::SocketAddress& address) {
  out += '"';
  if (address.family() == AF_INET) {
    // By hand: inet_ntop() takes as long as the rest of the line.
    const uint32_t ip =
        ntohl(reinterpret_cast<const sockaddr_in*>(address.data())->sin_addr.s_addr);
    for (int shift = 24; shift >= 0; shift -= 8) {
      append_json_number(out, ip >> shift & 0xff);
      out += shift > 0 ? '.' : ':';
    }
  } else {
    char text[INET6_ADDRSTRLEN];
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.data());
    out += '[';
    out += inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    out += "]:";
  }
  append_json_number(out, address.port());
  out += '"';
}

void append_enhanced(std::string& out, const smtp::EnhancedCode& code) {
  out += '"';
  append_json_number(out, code.status);
  out += '.';
  append_json_number(out, code.subject);
  out += '.';
  append_json_number(out, code.detail);
  out += '"';
}

void append_phases(JsonObject& line, const LogEntry& entry) {
  bool is_empty = true;
  for (const uint32_t us : entry.phases_us) is_empty = is_empty && us == 0;
  if (is_empty) return;
  std::string& out = line.begin("phases_ms");
  JsonObject phases(out);
  for (unsigned i = 0; i < smtp::stage_count; ++i) {
    const uint32_t us = entry.phases_us[i];
    if (us == 0) continue;
    phases.number(smtp::name(static_cast<smtp::Stage>(i)), us / 1000);
    const char decimals[] = {'.', static_cast<char>('0' + us / 100 % 10),
                             static_cast<char>('0' + us / 10 % 10),
                             static_cast<char>('0' + us % 10)};
    out.append(decimals, sizeof decimals);
  }
  phases.end();
}

void append_time(JsonObject& line, std::string_view key, TimeText& text, io::WallTime time) {
  std::string& out = line.begin(key);
  out += '"';
  text.append(out, time);
  out += '"';
}

}  // namespace

void LogLineWriter::append(std::string& out, const LogEntry& entry) {
  JsonObject line(out);
  const auto string = [&line](std::string_view key, std::string_view value) {
    if (!value.empty()) line.string(key, value);
  };
  const auto number = [&line](std::string_view key, uint64_t value) {
    if (value != 0) line.number(key, value);
  };
  append_time(line, "time", time_, entry.time);
  line.string("event", event_names[static_cast<size_t>(entry.event)]);
  string("id", entry.id);
  string("campaign", entry.campaign);
  if (entry.sender) line.string("sender", *entry.sender);
  string("recipient", entry.recipient);
  string("original_recipient", entry.original_recipient);
  string("message_id", entry.message_id);
  number("bytes", entry.bytes);
  number("recipients", entry.recipients);
  number("attempt", entry.attempt);
  if (entry.has_stage) line.string("phase", smtp::name(entry.stage));
  string("host", entry.host);
  if (entry.remote && !entry.remote->is_none()) append_address(line.begin("remote"), *entry.remote);
  if (entry.local && !entry.local->is_none()) append_address(line.begin("local"), *entry.local);
  if (entry.tls.empty())
    line.begin("tls") += "null";
  else
    line.string("tls", entry.tls);
  number("code", entry.code);
  if (entry.enhanced) append_enhanced(line.begin("enhanced"), entry.enhanced);
  string("text", entry.text);
  string("reason", entry.reason);
  append_phases(line, entry);
  if (entry.next_attempt != io::WallTime())
    append_time(line, "next_attempt", next_attempt_, entry.next_attempt);
  if (entry.expires != io::WallTime()) append_time(line, "expires", expires_, entry.expires);
  line.end();
  out += '\n';
}

}  // namespace sluice::engine::report
