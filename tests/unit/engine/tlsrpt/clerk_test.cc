#include "engine/tlsrpt/clerk.h"

#include <gmock/gmock.h>

#include "engine/tlsrpt/day_text.h"
#include "tests/sim/world/name_server.h"
#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::tlsrpt {
namespace {

using namespace std::chrono_literals;
using sim::NameServer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const auto name_server = *io::SocketAddress::parse("192.0.2.53:53");

Outcome outcome(const std::string& domain, TlsResult result = TlsResult::success) {
  return {.result = result, .domain = domain, .mx = "mx." + domain};
}

/// A clerk on a loop of the simulated world, and a name server; the spool is a real folder. The
/// world begins at noon.
class TlsReportClerk : public intake::ScratchFolder {
 protected:
  TlsReportClerk()
      : world_(1),
        proactor_(world_.start().proactor()),
        loop_(proactor_),
        dns_(world_, name_server) {
    const io::Duration since_midnight =
        world_.wall() - std::chrono::floor<std::chrono::days>(world_.wall());
    world_.jump_wall(12h - since_midnight);
    dns_.add("_smtp._tls.wanted.test", "TXT", "v=TLSRPTv1; rua=https://r.test/in");
    dns_.script = [this](std::string_view name, std::string_view) {
      return NameServer::Conduct{.action = name == failing_ ? NameServer::Action::fail
                                                            : NameServer::Action::answer};
    };
    proactor_.drive([this] {
      loop_.turn();
      if (clerk_) clerk_->turn_ended();
    });
  }
  ~TlsReportClerk() override {
    stop();
    proactor_.stop_driving();
  }

  void start() {
    world_.run_for(1ms);  // the loop reads the clock
    clerk_ = std::make_unique<Clerk>(
        loop_, Clerk::Options{.spool = folder_,
                              .submitter = {.organization = "us",
                                            .contact = "c@us.test",
                                            .from = "tls@us.test",
                                            .hostname = "mta.us.test"},
                              .dns = {.servers = {name_server}, .hostname = "mta.us.test"},
                              .authorities = [](const std::string&) { return "/nonexistent"; },
                              .counters = counters_,
                              .tell = [this](News&& news) { news_.push_back(news.text); }});
  }
  void stop() {
    if (clerk_) clerk_->stop();
    clerk_.reset();
  }
  void note(const std::string& domain) {
    clerk_->note({outcome(domain)});
    loop_.request_turn();
    world_.run_for(5s);
  }
  /// The clerk sees it at its next tick.
  void jump(io::Duration by) {
    world_.jump_wall(by);
    world_.run_for(61s);
  }
  /// "2026-11-23: wanted.test 2", a line for each day and domain on the disk.
  std::vector<std::string> counted() {
    std::vector<std::string> lines;
    for (const auto& [day, count] : DayFolder(folder_).load().days)
      for (const auto& [domain, of_domain] : count.domains())
        lines.push_back(date_text(day) + ": " + domain + " " +
                        std::to_string(of_domain.totals().successes));
    return lines;
  }
  std::string date() { return date_text(std::chrono::floor<std::chrono::days>(world_.wall())); }

  sim::World world_;
  sim::SimulatedProactor& proactor_;
  io::EventLoop loop_;
  NameServer dns_;
  std::string failing_;
  report::TlsReportCounters counters_;
  std::vector<std::string> news_;
  std::unique_ptr<Clerk> clerk_;
};

TEST_F(TlsReportClerk, counts_for_those_who_ask_for_it_and_asks_DNS_once_a_day) {
  start();
  for (int i = 0; i < 3; ++i)
    for (const char* domain : {"wanted.test", "silent.test"}) note(domain);
  world_.run_for(1min);
  EXPECT_THAT(counted(), ElementsAre(date() + ": wanted.test 3"));
  EXPECT_EQ(dns_.questions("_smtp._tls.silent.test", "TXT"), 1u);
  EXPECT_EQ(dns_.questions("_smtp._tls.wanted.test", "TXT"), 1u);
  EXPECT_EQ(counters_.domains.value(), 1u);
  jump(24h);
  note("silent.test");
  EXPECT_EQ(dns_.questions("_smtp._tls.silent.test", "TXT"), 2u);
}

TEST_F(TlsReportClerk, goes_on_counting_where_nobody_can_tell) {
  failing_ = "_smtp._tls.dark.test";
  start();
  note("dark.test");
  note("dark.test");
  stop();
  EXPECT_THAT(counted(), ElementsAre(date() + ": dark.test 2"));
}

TEST_F(TlsReportClerk, goes_on_counting_after_a_restart) {
  for (int i = 1; i <= 3; ++i) {
    start();
    note("wanted.test");
    stop();
    EXPECT_THAT(counted(), ElementsAre(date() + ": wanted.test " + std::to_string(i)));
  }
}

TEST_F(TlsReportClerk, counts_each_day_by_itself) {
  start();
  note("wanted.test");
  const std::string first = date();
  jump(12h - 10min);
  note("wanted.test");
  EXPECT_EQ(date(), first);
  jump(10min);
  EXPECT_NE(date(), first);
  note("wanted.test");
  jump(-1h);
  note("wanted.test");
  EXPECT_EQ(date(), first) << "a clock that was put back";
  stop();
  jump(1h);
  EXPECT_THAT(counted(), ElementsAre(first + ": wanted.test 2", date() + ": wanted.test 2"));
}

TEST_F(TlsReportClerk, waits_for_its_hour_and_tries_for_a_day) {
  start();
  note("wanted.test");
  world_.jump_wall(12h);
  world_.run_for(30s);
  EXPECT_THAT(news_, IsEmpty()) << "the day is over, and yet no report is due";
  const auto due = due_time(*parse_date(date()) - std::chrono::days(1), "wanted.test");
  world_.jump_wall(due - world_.wall());
  world_.run_for(3min);
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_THAT(news_[0], HasSubstr("to wanted.test: https://r.test/in: dns: r.test"));
  EXPECT_THAT(news_[0], HasSubstr("; will be tried again"));
  world_.run_for(25h);
  EXPECT_EQ(news_.size(), 9u) << "after 5, 10, 20, ... minutes";
  EXPECT_THAT(news_.back(), HasSubstr("; given up"));
  EXPECT_EQ(counters_.failed.value(), 1u);
  stop();
  EXPECT_THAT(counted(), IsEmpty());
}

TEST_F(TlsReportClerk, forgets_a_report_that_is_no_longer_wanted) {
  start();
  note("wanted.test");
  dns_.remove("_smtp._tls.wanted.test");
  world_.run_for(10min);  // for what is cached to be old
  jump(24h);
  world_.run_for(1min);
  stop();
  EXPECT_THAT(counted(), IsEmpty());
  EXPECT_THAT(news_, IsEmpty());
}

TEST_F(TlsReportClerk, sends_no_reports_of_days_long_ago) {
  start();
  note("wanted.test");
  stop();
  world_.jump_wall(9 * 24h);
  start();
  world_.run_for(1min);
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_THAT(news_[0], HasSubstr("to 1 domains are too old to be sent"));
  EXPECT_THAT(counted(), IsEmpty());
}

TEST_F(TlsReportClerk, puts_aside_what_it_cannot_read) {
  std::filesystem::create_directory(folder_ + "/tlsrpt");
  write("tlsrpt/" + date() + ".json", "{\"format\":\"sluice-tlsrpt 1\"");
  start();
  ASSERT_EQ(news_.size(), 1u);
  EXPECT_THAT(news_[0], HasSubstr(".json.damaged"));
  note("wanted.test");
  stop();
  EXPECT_THAT(counted(), ElementsAre(date() + ": wanted.test 1"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/tlsrpt/" + date() + ".json.damaged"));
}

}  // namespace
}  // namespace sluice::engine::tlsrpt
