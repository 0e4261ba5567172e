#include "tests/sim/delivery_run.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/campaign_message.h"
#include "engine/mail/template.h"
#include "engine/recipient.h"
#include "io/check.h"
#include "spool/recovery.h"

namespace sluice::sim {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

const std::string spool_folder = "/spool";

constexpr std::string_view personal_message =
    "From: News <news@client.test>\n"
    "To: {{name}} <{{email}}>\n"
    "Subject: For {{name}}\n"
    "\n"
    "Hello {{name}},\n"
    ".a line with a dot\n"
    "..and one with two\n"
    "{{name}}\n";

const std::string everybody = "everybody";
constexpr std::string_view shared_message =
    "From: News <news@client.test>\n"
    "To: readers:;\n"
    "Message-ID: <1@client.test>\n"
    "Subject: For everybody\n"
    "\n"
    "Hello everybody,\n"
    ".a line with a dot\n"
    "..and one with two\n"
    "everybody\n";

std::string body(const std::string& name) {
  return fmt::format("\r\n\r\nHello {},\r\n.a line with a dot\r\n..and one with two\r\n{}\r\n",
                     name, name);
}

std::string campaign_id(unsigned index) { return fmt::format("campaign-{}", index); }
uint64_t campaign_uid(unsigned index) { return index + 1; }

engine::Config configure(const DeliverySetup& setup) {
  std::string toml = fmt::format(
      "[engine]\nhostname = \"mta.client.test\"\nspool = \"{}\"\nlog = \"/log\"\nshards = {}\n"
      "[destination.\"*\"]\nsessions_max = {}\nmessages_per_session_max = 20\ntls = \"none\"\n"
      "recipients_per_transaction_max = {}\n"
      "[destination.\"*\".retry]\nfirst = \"20s\"\nceiling = \"10m\"\n",
      spool_folder, setup.shards, setup.sessions_max, setup.recipients_per_transaction_max);
  return config_of(std::move(toml), setup.servers);
}

}  // namespace

DeliveryRun::DeliveryRun(const DeliverySetup& setup)
    : world(setup.seed), setup_(setup), config_(configure(setup)) {
  world.before_crash = [this] { read_log(); };
  for (unsigned i = 0; i < setup.servers; ++i) {
    addresses_.push_back(*io::SocketAddress::parse(fmt::format("192.0.2.{}:25", i + 1)));
    servers.push_back(std::make_unique<MailServer>(world, addresses_.back()));
    servers.back()->script = [this](Phase phase, std::string_view) { return rough_answer(phase); };
  }
  for (unsigned c = 0; c < setup.campaigns; ++c)
    for (uint32_t i = 0; i < setup.recipients; ++i) {
      // In the order of the campaign's file: by destination.
      const auto server = static_cast<unsigned>(uint64_t{i} * setup.servers / setup.recipients);
      const std::string recipient = fmt::format("c{}-r{}@d{}.test", c, i, server);
      expected_[recipient] = {c, i, fmt::format("Name{}of{}", i, c)};
      if (setup.is_shared) expected_[recipient].name = everybody;
      of_[campaign_uid(c)].push_back(recipient);
    }
}

DeliveryRun::~DeliveryRun() {
  world.before_crash = nullptr;
  if (engine_ && engine_->is_alive()) engine_->kill();
}

// --- What happens ---

namespace {

std::expected<spool::CampaignWriter::Committed, spool::Error> submit(
    io::Proactor& proactor, unsigned index, const std::vector<std::string>& recipients,
    const std::function<std::string(const std::string&)>& name_of, bool is_shared) {
  const std::string sender = is_shared ? "news@client.test" : "bounce+{{name}}@client.test";
  auto compiled =
      engine::mail::Template::compile({.message = is_shared ? shared_message : personal_message,
                                       .path = "news.eml",
                                       .columns = {"email", "name"},
                                       .statistics = {{.bytes_max = 40}, {.bytes_max = 40}},
                                       .sender = sender,
                                       .message_id_domain = "client.test",
                                       .campaign_uid = campaign_uid(index),
                                       .date = proactor.wall()});
  CHECK(compiled);
  const std::string content = compiled->encode();
  const engine::CampaignMessage stored{.sender = sender,
                                       .message_id_domain = "client.test",
                                       .columns = {"email", "name"},
                                       .content = std::as_bytes(std::span(content))};
  auto writer = spool::CampaignWriter::create(
      proactor, spool_folder,
      {.id = campaign_id(index), .uid = campaign_uid(index), .accepted_at = proactor.wall()});
  if (!writer) return std::unexpected(writer.error());
  std::string group;
  for (const std::string& address : recipients) {
    const std::string domain = address.substr(address.find('@') + 1);
    if (std::exchange(group, domain) != domain)
      if (auto begun = (*writer)->begin_group(domain); !begun)
        return std::unexpected(begun.error());
    const std::string name = name_of(address);
    engine::Recipient recipient;
    recipient.address = address;
    recipient.fields = {name};
    std::string entry;
    recipient.encode(entry);
    if (auto added = (*writer)->add(std::as_bytes(std::span(entry))); !added)
      return std::unexpected(added.error());
  }
  const std::string encoded = stored.encode();
  return (*writer)->commit(std::as_bytes(std::span(encoded)));
}

std::optional<spool::OpenedCampaign> open_campaign(World& world, unsigned index) {
  Process& reader = world.start(Owner::theirs);  // spared by faults and crash points
  std::optional<spool::OpenedCampaign> found;
  bool is_done = false;
  SimulatedProactor& proactor = reader.proactor();
  spool::open_campaign(proactor, fmt::format("{}/campaigns/{}", spool_folder, campaign_id(index)),
                       [&](auto result) {
                         if (result) found = std::move(*result);
                         is_done = true;
                       });
  while (!is_done) proactor.wait(io::never, 16);
  world.kill(reader);
  return found;
}

}  // namespace

bool DeliveryRun::hand_off(unsigned index) {
  const auto name_of = [this](const std::string& recipient) {
    return expected_.at(recipient).name;
  };
  for (unsigned attempt = 0; attempt < 20; ++attempt) {
    Process& process = world.start();
    const bool is_done =
        submit(process.proactor(), index, of_.at(campaign_uid(index)), name_of, setup_.is_shared)
            .has_value();
    if (process.is_alive()) world.kill(process);
    if (is_done) return true;
    world.run_for(seconds(1));
  }
  return false;
}

void DeliveryRun::start(bool until_empty) {
  for (unsigned attempt = 0; attempt < 1000; ++attempt) {
    engine_ ? look_into_death() : look_at_disk();
    engine_ = std::make_unique<SimulatedEngine>(world, config_, until_empty);
    if (engine_->error().empty() && engine_->is_alive()) return;
    world.run_for(seconds(1));
    if (engine_->is_alive()) engine_.reset();
  }
  FAIL() << "the engine never starts: " << engine_->error();
}

void DeliveryRun::run_for(io::Duration duration) {
  world.run_until([this] { return engine_ && !engine_->is_alive(); }, world.now() + duration);
  if (engine_ && !engine_->is_alive()) look_into_death();
}

void DeliveryRun::stop() {
  if (!engine_) return;
  engine_->stop();
  const auto is_over = [this] {
    return !engine_->is_alive() || (engine_->has_stopped() && engine_->in_flight() == 0);
  };
  EXPECT_TRUE(world.run_until(is_over, world.now() + minutes(10)))
      << "the engine does not stop; in flight: " << engine_->in_flight();
  look_into_death();  // what the grace time cut off may be repeated
}

void DeliveryRun::kill() {
  if (!engine_) return;
  if (engine_->is_alive()) engine_->kill();
  look_into_death();
}

void DeliveryRun::lose_power() {
  world.lose_power();
  if (engine_) look_into_death();
}

/// Durability: what the engine held for durable is where no loss of power takes it.
void DeliveryRun::look_into_death() {
  const std::vector<uint64_t> campaigns = engine_->accepted();
  const uint64_t told = engine_->fates_told();
  engine_.reset();
  deaths_.push_back(world.now());
  look_at_disk();
  const auto is_accepted = [&](const std::string& recipient) {
    return std::ranges::count(campaigns, campaign_uid(expected_.at(recipient).campaign)) > 0;
  };
  EXPECT_GE(static_cast<uint64_t>(std::ranges::count_if(durable_fates_, is_accepted)), told)
      << "durability: the engine told of fates that are not on the disk";
}

/// Remembers whose fate the next engine will find. What a kill left in the page cache alone may go
/// with the power; what is on the platter stays for good.
void DeliveryRun::look_at_disk() {
  check_fates_on_disk();
  const auto before = std::exchange(fate_since_, {});
  for (const std::string& recipient : fates_in(Memory::page_cache)) {
    const auto known = before.find(recipient);
    fate_since_[recipient] = known == before.end() ? world.now() : known->second;
  }
  for (const std::string& recipient : durable_fates_)
    EXPECT_TRUE(fate_since_.contains(recipient))
        << "durability: the fate of " << recipient << " was on the disk and is not any more";
  for (const std::string& recipient : fates_in(Memory::platter))
    if (fate_since_.contains(recipient)) durable_fates_.insert(recipient);  // else taken back
}

/// Of whom the spool says that they have their fate. Looks at a copy: nobody in this world notices.
std::set<std::string> DeliveryRun::fates_in(Memory memory) const {
  World elsewhere(setup_.seed);
  elsewhere.disk().copy(world.disk(), memory);
  std::set<std::string> fates;
  const auto recovered = spool::recover_journal(elsewhere.start().proactor(), spool_folder, true);
  EXPECT_TRUE(recovered) << recovered.error().message;
  if (!recovered) return fates;
  EXPECT_TRUE(recovered->damages.empty())
      << "a crash is no damage: " << recovered->damages[0].reason;
  for (const auto& [uid, recipients] : of_) {
    const auto opened = open_campaign(elsewhere, static_cast<unsigned>(uid - 1));
    const bool is_finished = opened && !opened->campaign;
    const auto progress = recovered->campaigns.find(uid);
    for (uint32_t i = 0; i < recipients.size(); ++i)
      if (is_finished || (progress != recovered->campaigns.end() && progress->second.has_fate(i)))
        fates.insert(recipients[i]);
  }
  return fates;
}

void DeliveryRun::run_to_the_end() {
  world.faults = {};
  roughness = 0;
  world.disk().capacity = UINT64_MAX;
  for (const io::SocketAddress& address : addresses_) world.network().heal(address);
  const io::Instant latest = world.now() + hours(48);
  stop();
  while (world.now() < latest) {
    start(true);
    if (!engine_) return;
    world.run_until(
        [this] {
          return !engine_->is_alive() || (engine_->has_stopped() && engine_->in_flight() == 0);
        },
        latest);
    if (engine_->is_alive()) {
      EXPECT_TRUE(engine_->has_stopped())
          << "liveness: faults ended 48 hours ago and mail still waits";
      EXPECT_EQ(engine_->in_flight(), 0u) << "hygiene: operations in flight at the end";
      EXPECT_TRUE(engine_->refused().empty()) << engine_->refused()[0];
      if (!engine_->has_stopped()) engine_->kill();
      return look_into_death();
    }
    look_into_death();
  }
}

/// Each misbehaviour that smtp::Client must live with, at any phase.
Answer DeliveryRun::rough_answer(Phase phase) {
  Random& random = world.random();
  Answer answer;
  if (roughness <= 0) return answer;
  if (random.chance(0.1)) answer.delay = random.between(io::Duration(0), seconds(5));
  if (random.chance(roughness / 4)) answer.delay = random.between(io::Duration(0), minutes(15));
  if (!random.chance(roughness)) return answer;
  using Action = Answer::Action;
  const bool is_about_mail = phase == Phase::mail || phase == Phase::rcpt || phase == Phase::data ||
                             phase == Phase::final_dot;
  if (phase == Phase::rset || phase == Phase::quit) return answer;  // nobody refuses these
  if (setup_.is_shared && phase == Phase::rcpt && random.chance(0.3)) {
    answer.reply = random.chance(0.5) ? "452 4.5.3 too many recipients" : "552 too many recipients";
    refusals_ += answer.reply[0] == '5';  // if it is the first
    return answer;
  }
  switch (random.below(10)) {
    case 0: answer.action = Action::drop; break;
    case 1: answer.action = Action::stall; break;
    case 2: answer.action = Action::garbage; break;
    case 3: answer.action = Action::slow; break;
    case 4: answer.action = Action::endless; break;
    case 5: answer.reply = "421 4.3.2 going down"; break;
    case 6:
      if (phase == Phase::final_dot) answer.action = Action::take_and_drop;
      break;
    case 7:
      if (is_about_mail) {
        answer.reply = "550-5.7.1 no\n550 5.7.1 never";
        refusals_ +=
            phase == Phase::rcpt || !setup_.is_shared ? 1 : setup_.recipients_per_transaction_max;
      }
      break;
    default: answer.reply = "451 4.3.0 later"; break;
  }
  return answer;
}

// --- The laws ---

std::map<std::string, std::vector<const Delivery*>> DeliveryRun::deliveries() const {
  std::map<std::string, std::vector<const Delivery*>> by_recipient;
  for (const auto& server : servers)
    for (const Delivery& delivery : server->deliveries())
      for (const std::string& recipient : delivery.recipients)
        by_recipient[recipient].push_back(&delivery);
  for (auto& [recipient, of_recipient] : by_recipient)
    std::ranges::sort(of_recipient, {}, [](const Delivery* d) { return d->dot_sent; });
  return by_recipient;
}

void DeliveryRun::check_delivery(const std::string& recipient, const Delivery& delivery) const {
  ASSERT_TRUE(expected_.contains(recipient)) << "nobody asked for " << recipient;
  const std::string& name = expected_.at(recipient).name;
  EXPECT_LE(delivery.recipients.size(),
            setup_.is_shared ? setup_.recipients_per_transaction_max : 1u);
  EXPECT_EQ(delivery.sender,
            setup_.is_shared ? "news@client.test" : fmt::format("bounce+{}@client.test", name));
  EXPECT_TRUE(delivery.content.ends_with(body(name))) << "truth: " << recipient << " got\n"
                                                      << delivery.content;
  if (setup_.is_shared) {
    for (const auto& [other, expected] : expected_)
      EXPECT_EQ(delivery.content.find(other), std::string::npos) << "privacy: envelopes alone";
    return;
  }
  EXPECT_NE(delivery.content.find(fmt::format("To: {} <{}>\r\n", name, recipient)),
            std::string::npos)
      << "truth: " << recipient << " got\n"
      << delivery.content;
}

/// What the log and the servers say of a recipient, for people.
std::string DeliveryRun::history(const std::string& recipient,
                                 const std::vector<const Delivery*>& deliveries) const {
  std::string out;
  for (const Delivery* delivery : deliveries)
    out += fmt::format("at {:.6f} s (dot sent {:.6f}) session {} took it{}{}\n",
                       static_cast<double>(delivery->time.time_since_epoch().count()) * 1e-9,
                       static_cast<double>(delivery->dot_sent.time_since_epoch().count()) * 1e-9,
                       delivery->session, delivery->is_answered ? ", said 250" : "",
                       delivery->reply.is_read() ? ", which was read" : "");
  for (const io::Instant death : deaths_)
    out += fmt::format("at {:.6f} s an engine ended\n",
                       static_cast<double>(death.time_since_epoch().count()) * 1e-9);
  for (const std::string& line : log_lines_)
    if (line.find(fmt::format("\"{}\"", recipient)) != line.npos) out += fmt::format("{}\n", line);
  return out;
}

/// A message is repeated only when the world broke between the dot and the durable fate.
void DeliveryRun::check_duplicates(const std::string& recipient,
                                   const std::vector<const Delivery*>& deliveries) const {
  for (size_t i = 1; i < deliveries.size(); ++i) {
    const Delivery& earlier = *deliveries[i - 1];
    const Delivery& later = *deliveries[i];
    EXPECT_EQ(earlier.content, later.content) << recipient << ": the same message each time";
    const bool was_told = earlier.is_answered && earlier.reply.is_read();
    // Octets of a dead engine may arrive when its heir is already at work.
    const bool died = std::ranges::any_of(deaths_, [&](io::Instant t) {
      return (earlier.session_began <= t) != (later.session_began <= t);
    });
    EXPECT_TRUE(!was_told || died)
        << "duplicate: " << recipient << " again, though the engine had read the 250\n"
        << history(recipient, deliveries);
  }
}

/// Who has a fate is not tried again.
void DeliveryRun::check_fates_on_disk() const {
  const auto by_recipient = deliveries();
  for (const auto& [recipient, since] : fate_since_) {
    const auto found = by_recipient.find(recipient);
    if (found == by_recipient.end()) continue;
    for (const Delivery* delivery : found->second)
      EXPECT_LE(delivery->session_began, since)
          << "duplicate: " << recipient << " again, though its fate was on the disk\n"
          << history(recipient, found->second);
  }
}

void DeliveryRun::check_log(
    const std::map<std::string, std::vector<const Delivery*>>& deliveries) const {
  std::map<std::string, size_t> delivered;
  for (const std::string& line : log_lines_) {
    const auto entry = nlohmann::json::parse(line, nullptr, false);
    if (entry.is_discarded()) continue;  // a write that a kill cut short
    if (entry.value("event", "") == "delivered") ++delivered[entry.value("recipient", "")];
  }
  for (const auto& [recipient, times] : delivered) {
    const auto found = deliveries.find(recipient);
    const auto answered =
        found == deliveries.end() ? 0 : std::ranges::count_if(found->second, [](const Delivery* d) {
          return d->is_answered;
        });
    EXPECT_LE(times, static_cast<size_t>(answered))
        << "truth: the log has " << recipient << " delivered more often than a server said 250\n"
        << (found == deliveries.end() ? "" : history(recipient, found->second));
  }
}

void DeliveryRun::check_campaign(
    unsigned index, const std::map<std::string, std::vector<const Delivery*>>& deliveries) {
  const auto opened = open_campaign(world, index);
  ASSERT_TRUE(opened) << "conservation: " << campaign_id(index) << " is gone";
  EXPECT_FALSE(opened->campaign) << "liveness: " << campaign_id(index) << " is not finished";
  const spool::CampaignSummary& summary = opened->summary;
  EXPECT_EQ(summary.recipients, setup_.recipients);
  EXPECT_EQ(summary.delivered + summary.failed + summary.expired, setup_.recipients)
      << "conservation: one fate each";
  size_t answered = 0;
  for (const std::string& recipient : of_.at(campaign_uid(index)))
    if (const auto found = deliveries.find(recipient); found != deliveries.end())
      answered +=
          std::ranges::any_of(found->second, [](const Delivery* d) { return d->is_answered; });
  EXPECT_LE(summary.delivered, answered) << "truth: delivered means that a server said 250";
  EXPECT_LE(summary.failed, refusals_) << "truth: failed means that a server said 5xx";
  EXPECT_EQ(summary.expired, 0u);
}

/// The lines of the transaction log, also those that a loss of power will take.
void DeliveryRun::read_log() {
  const std::string log = world.disk().contents("/log/transactions.jsonl").value_or("");
  for (size_t at = 0; at < log.size();) {
    const size_t end = std::min(log.find('\n', at), log.size());
    std::string line = log.substr(at, end - at);
    if (line.find('\0') == line.npos)
      log_lines_.insert(std::move(line));  // else torn by a loss of power
    at = end + 1;
  }
}

void DeliveryRun::check_laws() {
  read_log();
  look_at_disk();
  const auto by_recipient = deliveries();
  for (const auto& [recipient, of_recipient] : by_recipient) {
    for (const Delivery* delivery : of_recipient) check_delivery(recipient, *delivery);
    check_duplicates(recipient, of_recipient);
  }
  check_log(by_recipient);
  for (unsigned c = 0; c < setup_.campaigns; ++c) check_campaign(c, by_recipient);
  for (const auto& server : servers) {
    EXPECT_LE(server->sessions_most(), setup_.sessions_max) << "politeness: sessions at once";
    EXPECT_TRUE(server->violations().empty()) << server->violations()[0];
  }
  EXPECT_EQ(world.disk().open_files(), 0u) << "hygiene: files are still open";
}

}  // namespace sluice::sim
