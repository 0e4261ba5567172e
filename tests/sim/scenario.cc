#include "tests/sim/scenario.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/mail/template.h"
#include "engine/recipient.h"
#include "io/check.h"
#include "spool/campaign.h"
#include "spool/rule_files.h"

namespace sluice::sim {

using std::chrono::milliseconds;
using std::chrono::minutes;

namespace {

const std::string spool_folder = "/spool", log_path = "/log/transactions.jsonl";

engine::Config configure(std::string_view toml, unsigned shards) {
  return config_of(fmt::format(
      "[engine]\nhostname = \"mta.client.test\"\nspool = \"{}\"\nlog = \"/log\"\nshards = {}\n"
      "[dns]\nservers = [\"192.0.2.253:53\"]\n{}\n",
      spool_folder, shards, toml));
}

/// The content of Mail, as a campaign stores it.
std::string compile(const Mail& mail, uint64_t uid, io::WallTime now) {
  std::string message = "From: News <news@client.test>\nSubject: Hello\n";
  message += mail.is_shared ? "To: readers:;\nMessage-ID: <1@client.test>\n" : "To: {{email}}\n";
  message += "\nHello.\n";
  for (size_t begin = message.size(); message.size() < begin + mail.bytes;)
    message += "A line of the long message that somebody has to say to somebody else.\n";
  auto compiled = engine::mail::Template::compile({.message = message,
                                                   .path = "mail.eml",
                                                   .columns = {"email"},
                                                   .statistics = {{.bytes_max = 80}},
                                                   .sender = "bounce@client.test",
                                                   .message_id_domain = "client.test",
                                                   .campaign_uid = uid,
                                                   .date = now});
  CHECK(compiled);
  return compiled->encode();
}

}  // namespace

Scenario::Scenario(std::string_view toml, unsigned shards)
    : world(1),
      names(world, *io::SocketAddress::parse("192.0.2.253:53")),
      began_(world.now()),
      began_wall_(world.wall()),
      config_(configure(toml, shards)) {
  world.network().latency_max = milliseconds(2);
}

Scenario::~Scenario() {
  if (engine_) kill();
}

io::SocketAddress Scenario::address(const std::string& ip) {
  return *io::SocketAddress::parse(ip + ":25");
}

MailServer& Scenario::add_host(const std::string& name, const std::string& ip) {
  names.add(name, "A", ip);
  servers_.push_back(std::make_unique<MailServer>(world, address(ip)));
  return *servers_.back();
}

void Scenario::hand_off(const Mail& mail) {
  Process& process = world.start();
  const uint64_t uid = ++handed_off_;
  const io::WallTime now = process.proactor().wall();
  const std::string content = compile(mail, uid, now);
  const engine::CampaignMessage stored{.notices = mail.notices,
                                       .priority = mail.priority,
                                       .dsn = mail.dsn,
                                       .sender = "bounce@client.test",
                                       .message_id_domain = "client.test",
                                       .columns = {"email"},
                                       .content = std::as_bytes(std::span(content))};
  auto writer = spool::CampaignWriter::create(process.proactor(), spool_folder,
                                              {.id = mail.id, .uid = uid, .accepted_at = now});
  CHECK(writer);
  std::string group;
  for (const std::string& recipient : mail.recipients) {
    const std::string domain = recipient.substr(recipient.find('@') + 1);
    if (std::exchange(group, domain) != domain) CHECK((*writer)->begin_group(domain));
    std::string entry;
    const bool is_ascii = std::ranges::none_of(recipient, [](char c) { return (c & 0x80) != 0; });
    engine::Recipient{.flags = is_ascii ? uint8_t{0} : engine::Recipient::needs_smtputf8,
                      .address = recipient}
        .encode(entry);
    CHECK((*writer)->add(std::as_bytes(std::span(entry))));
  }
  const std::string encoded = stored.encode();
  CHECK((*writer)->commit(std::as_bytes(std::span(encoded))));
  writer->reset();
  world.kill(process);
}

void Scenario::say(engine::queue::Rule rule) {
  Process& process = world.start();
  rule.at = process.proactor().wall();
  CHECK(spool::hand_off_rule(process.proactor(), spool_folder, rule.encode()));
  world.kill(process);
}

std::vector<std::string> Scenario::files(const std::string& folder) {
  std::vector<std::string> found;
  world.disk().list_directory(fmt::format("{}/{}", spool_folder, folder), found);
  std::erase_if(found, [](const std::string& name) { return name.starts_with('.'); });
  return found;
}

void Scenario::start(bool until_empty) {
  CHECK(!engine_);
  engine_ = std::make_unique<SimulatedEngine>(world, config_, until_empty, socket_slots, keys);
  CHECK(engine_->error().empty());
}

void Scenario::stop() {
  engine_->stop();
  EXPECT_TRUE(
      run_until([this] { return engine_->has_stopped() && engine_->in_flight() == 0; }, minutes(1)))
      << "the engine does not stop";
  engine_.reset();
}

void Scenario::kill() {
  engine_->kill();
  engine_.reset();
}

void Scenario::lose_power() {
  log_before_ = log_text();
  world.lose_power();
  engine_.reset();
  log_survived_ = world.disk().contents(log_path).value_or("").size();
}

std::string Scenario::log_text() const {
  return log_before_ + world.disk().contents(log_path).value_or("").substr(log_survived_);
}

bool Scenario::run_until_done(io::Duration at_most) {
  return run_until(
      [this] { return totals().recipients > 0 && totals().fates() == totals().recipients; },
      at_most);
}

std::vector<LogLine> Scenario::log(std::string_view recipient) const {
  std::vector<LogLine> lines;
  std::istringstream log(log_text());
  const std::string wanted = fmt::format("\"recipient\":\"{}\"", recipient);
  for (std::string text; std::getline(log, text);) {
    if (!recipient.empty() && text.find(wanted) == text.npos) continue;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    EXPECT_FALSE(json.is_discarded()) << text;
    if (json.is_discarded() || json.value("event", "") == "accepted") continue;
    const auto string = [&json](const char* key) { return json.value(key, ""); };
    LogLine line{.event = string("event"),
                 .id = string("id"),
                 .campaign = string("campaign"),
                 .recipient = string("recipient"),
                 .phase = string("phase"),
                 .host = string("host"),
                 .remote = string("remote"),
                 .local = string("local"),
                 .reason = string("reason"),
                 .text = string("text"),
                 .attempt = json.value("attempt", 0u),
                 .code = json.value("code", 0u),
                 .time_s = seconds_of(string("time")),
                 .next_attempt_s = seconds_of(string("next_attempt")),
                 .expires_s = seconds_of(string("expires")),
                 .phases_s = {}};
    if (json.contains("phases_ms"))
      for (const auto& [phase, time_ms] : json["phases_ms"].items())
        line.phases_s[phase] = time_ms.get<double>() / 1000;
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string LogLine::brief() const {
  return fmt::format("{} {} {}", event, attempt, reason.empty() ? text : reason);
}

/// 0 for "".
double Scenario::seconds_of(const std::string& time) const {
  if (time.empty()) return 0;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0;
  double second = 0;
  CHECK(std::sscanf(time.c_str(), "%d-%d-%dT%d:%d:%lf", &year, &month, &day, &hour, &minute,
                    &second) == 6);
  const std::chrono::sys_days date = std::chrono::year(year) /
                                     std::chrono::month(static_cast<unsigned>(month)) /
                                     std::chrono::day(static_cast<unsigned>(day));
  const std::chrono::duration<double> began = began_wall_.time_since_epoch();
  const std::chrono::duration<double> of_date = date.time_since_epoch();
  return of_date.count() - began.count() + hour * 3600 + minute * 60 + second;
}

}  // namespace sluice::sim
