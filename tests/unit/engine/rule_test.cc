#include "engine/queue/rule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sluice::engine::queue {
namespace {

using Ranges = std::vector<Range>;
using Numbers = std::vector<bool>;

constexpr uint32_t recipients = 64;

io::WallTime at(int64_t s) { return io::WallTime(std::chrono::seconds(s)); }

/// Groups of 16 recipients each, as many as have names.
class Newsletter final : public spool::Campaign {
 public:
  Newsletter(std::string id, uint64_t uid, io::WallTime accepted_at,
             std::vector<std::string_view> destinations)
      : info_{std::move(id), uid, accepted_at} {
    for (const std::string_view name : destinations)
      groups_.push_back({name, static_cast<uint32_t>(16 * groups_.size()), 16});
  }
  const spool::CampaignInfo& info() const override { return info_; }
  uint32_t recipients() const override { return static_cast<uint32_t>(16 * groups_.size()); }
  spool::Bytes message() const override { return {}; }
  uint32_t group_count() const override { return static_cast<uint32_t>(groups_.size()); }
  spool::Group group(uint32_t index) const override { return groups_[index]; }
  uint32_t blocks() const override { return 0; }
  spool::BlockRef block(uint32_t) const override { return {}; }
  uint32_t block_of(uint32_t) const override { return 0; }
  io::File file() const override { return {}; }
  const std::string& path() const override { return info_.id; }
  uint64_t bytes() const override { return 0; }

 private:
  spool::CampaignInfo info_;
  std::vector<spool::Group> groups_;
};

const Newsletter may("may", 7, at(100), {"a.example", "b.example", "x.b.example", "a.example.net"});

Numbers numbers(const Ranges& ranges) {
  Numbers out(recipients);
  for (const Range range : ranges)
    for (uint32_t i = 0; i < range.count; ++i) out.at(range.first + i) = true;
  return out;
}

/// The one way to write a set as ranges.
Ranges ranges(const Numbers& numbers) {
  Ranges out;
  for (uint32_t i = 0; i < numbers.size(); ++i) {
    if (!numbers[i]) continue;
    if (!out.empty() && out.back().first + out.back().count == i)
      ++out.back().count;
    else
      out.push_back({i, 1});
  }
  return out;
}

bool is_same(const Ranges& a, const Ranges& b) {
  return std::ranges::equal(
      a, b, [](Range x, Range y) { return x.first == y.first && x.count == y.count; });
}

class RangeAlgebra : public testing::Test {
 protected:
  const uint32_t seed_ = std::random_device()();
  std::mt19937 engine_{seed_};

  uint32_t random() { return static_cast<uint32_t>(engine_()); }

  Numbers some() {
    Numbers out(recipients);
    const unsigned runs = random() % 6;
    for (unsigned i = 0; i < runs; ++i)
      for (uint32_t n = random() % recipients, left = random() % 12; n < recipients && left > 0;
           ++n, --left)
        out[n] = true;
    return out;
  }
};

TEST_F(RangeAlgebra, does_what_a_bitmap_does) {
  SCOPED_TRACE(seed_);
  for (int round = 0; round < 20'000; ++round) {
    const Numbers a = some(), b = some();
    Numbers either(recipients), left(recipients), both(recipients);
    for (uint32_t i = 0; i < recipients; ++i) {
      either[i] = a[i] || b[i];
      left[i] = a[i] && !b[i];
      both[i] = a[i] && b[i];
    }
    ASSERT_TRUE(is_same(united(ranges(a), ranges(b)), ranges(either)));
    ASSERT_TRUE(is_same(without(ranges(a), ranges(b)), ranges(left)));
    ASSERT_TRUE(is_same(common(ranges(a), ranges(b)), ranges(both)));
    ASSERT_EQ(count_of(ranges(a)), static_cast<uint64_t>(std::ranges::count(a, true)));
  }
}

TEST_F(RangeAlgebra, holds_up_to_the_greatest_number) {
  const Ranges all = {{0, UINT32_MAX}}, last = {{UINT32_MAX - 1, 1}};
  EXPECT_TRUE(is_same(common(all, last), last));
  EXPECT_TRUE(is_same(without(all, last), {{0, UINT32_MAX - 1}}));
  EXPECT_TRUE(is_same(united({{0, UINT32_MAX - 1}}, last), all));
  EXPECT_EQ(count_of(all), UINT32_MAX);
}

/// Names of spent rules of `rules`, long after they were said.
std::vector<std::string> spent(const std::vector<Rule>& rules,
                               const std::vector<const spool::Campaign*>& live,
                               const std::set<std::string>& finished = {}) {
  return spent_rules(rules, live, finished, at(1'000'000));
}
using Names = std::vector<std::string>;

TEST(SpentRules, are_those_whose_recipients_have_ended_but_holds_are_for_later_mail_too) {
  for (const auto action : {Rule::Action::release, Rule::Action::retry, Rule::Action::cancel}) {
    const Rule rule{.name = "1", .action = action, .at = at(200), .destination = "b.example"};
    EXPECT_EQ(spent({rule}, {}), Names{"1"});
    EXPECT_EQ(spent({rule}, {&may}), Names{});
    const Newsletter later("later", 8, at(201), {"b.example"});
    const Newsletter other("other", 9, at(100), {"c.example"});
    EXPECT_EQ(spent({rule}, {&later, &other}), Names{"1"});
    EXPECT_EQ(spent_rules({rule}, {}, {}, at(200) + rule_age_min - io::Duration(1)), Names{});
    EXPECT_EQ(spent_rules({rule}, {}, {}, at(200) + rule_age_min), Names{"1"});
  }
  EXPECT_EQ(spent({{.name = "1", .at = at(200), .destination = "b.example"}}, {}), Names{});
  EXPECT_EQ(spent({{.name = "1", .at = at(200)}}, {}), Names{});
}

TEST(SpentRules, have_holds_of_campaigns_that_are_over) {
  const Rule by_id{.name = "1", .at = at(200), .campaign = "may"};
  EXPECT_EQ(spent({by_id}, {&may}), Names{});
  EXPECT_EQ(spent({by_id}, {}), Names{}) << "it may be handed off yet";
  EXPECT_EQ(spent({by_id}, {}, {"may"}), Names{"1"});
  const Rule by_number{.name = "1", .at = at(200), .recipients = {{7, 3, 5}}};
  EXPECT_EQ(spent({by_number}, {&may}), Names{});
  EXPECT_EQ(spent({by_number}, {}), Names{"1"});
}

TEST(SpentRules, are_all_of_etrn_but_the_last_of_a_destination) {
  const auto etrn = [](std::string name, int64_t s, std::string destination) {
    return Rule{.name = std::move(name),
                .action = Rule::Action::etrn,
                .at = at(s),
                .destination = std::move(destination)};
  };
  const std::vector<Rule> rules = {etrn("1", 200, "b.example"), etrn("2", 201, "*.b.example"),
                                   etrn("3", 202, "b.example"), etrn("4", 202, "b.example")};
  const std::vector<const spool::Campaign*> live = {&may};
  EXPECT_EQ(spent_rules(rules, live, {}, at(203)), (Names{"1", "3"}));
  EXPECT_EQ(spent(rules, {}), (Names{"1", "2", "3", "4"}));
}

TEST(SpentRules, let_a_hold_go_before_the_release_that_took_it_back) {
  const Rule hold{.name = "1", .at = at(200), .destination = "b.example"};
  const Rule release{
      .name = "2", .action = Rule::Action::release, .at = at(201), .destination = "b.example"};
  EXPECT_EQ(spent({hold, release}, {}), Names{"1"});
  EXPECT_EQ(spent({release}, {}), Names{"2"});
  EXPECT_EQ(spent({release, hold}, {}), Names{"2"}) << "said later, the hold is in force";
}

TEST(Rule, is_written_and_read_alike) {
  const Rule rule{.name = "n",
                  .action = Rule::Action::cancel,
                  .at = io::WallTime(io::Duration(1'700'000'000'123'456'789)),
                  .campaign = "Mai \"26\"",
                  .destination = "*.example.net",
                  .recipients = {{0xc0ffee0000000001, 5, 5}, {2, 0, UINT32_MAX}}};
  EXPECT_EQ(rule.encode(), R"({"action":"cancel","at":1700000000123456789,"campaign":"Mai \"26\"",)"
                           R"("destination":"*.example.net",)"
                           R"("recipients":["c0ffee0000000001.5","0000000000000002.0-4294967295"]})"
                           "\n");
  const auto read = Rule::decode("n", rule.encode());
  ASSERT_TRUE(read) << read.error();
  EXPECT_EQ(read->name, rule.name);
  EXPECT_EQ(read->action, rule.action);
  EXPECT_EQ(read->at, rule.at);
  EXPECT_TRUE(read->has_same_selector(rule));
}

TEST(Rule, is_refused_when_it_would_mean_something_else_than_its_author_said) {
  const std::string_view good = R"({"action":"hold","at":5,"destination":"a.example"})";
  ASSERT_TRUE(Rule::decode("n", good));
  for (const std::string_view text :
       {"",
        "[]",
        "{",
        R"({"action":"hold"})",
        R"({"at":5})",
        R"({"action":"drop","at":5})",
        R"({"action":"hold","at":-5})",
        R"({"action":"hold","at":"5"})",
        R"({"action":"hold","at":18446744073709551615})",
        R"({"action":"hold","at":5,"destination":""})",
        R"({"action":"hold","at":5,"destination":"A.example"})",
        R"({"action":"hold","at":5,"campaign":""})",
        R"({"action":"hold","at":5,"campaign":7})",
        R"({"action":"hold","at":5,"recipients":[]})",
        R"({"action":"hold","at":5,"recipients":["7.1"]})",
        R"({"action":"hold","at":5,"recipients":["c0ffee0000000001.9-8"]})",
        R"({"action":"hold","at":5,"recipients":["c0ffee0000000001.9-"]})",
        R"({"action":"hold","at":5,"recipients":["c0ffee0000000001.4294967296"]})",
        R"({"action":"hold","at":5,"recipients":[5]})",
        R"({"action":"hold","at":5,"sender":"ann@a.example"})"})
    EXPECT_FALSE(Rule::decode("n", text)) << text;
}

TEST(Rule, speaks_of_all_that_fits_every_selector_it_has) {
  Rule rule{.at = at(200)};
  EXPECT_TRUE(is_same(ranges_of(rule, may), {{0, 64}}));
  rule.destination = "b.example";
  EXPECT_TRUE(is_same(ranges_of(rule, may), {{16, 16}}));
  rule.destination = "*.b.example";
  EXPECT_TRUE(is_same(ranges_of(rule, may), {{32, 16}}));
  rule.recipients = {{7, 40, 90}, {7, 30, 35}, {8, 0, 60}};
  EXPECT_TRUE(is_same(ranges_of(rule, may), {{32, 4}, {40, 8}}));
  rule.campaign = "june";
  EXPECT_TRUE(ranges_of(rule, may).empty());
}

TEST(Rule, leaves_mail_alone_that_came_later_unless_it_is_a_hold) {
  for (const auto action :
       {Rule::Action::hold, Rule::Action::release, Rule::Action::retry, Rule::Action::cancel}) {
    const bool is_of_its_time = action != Rule::Action::hold;
    EXPECT_EQ(ranges_of({.action = action, .at = at(99)}, may).empty(), is_of_its_time);
    EXPECT_FALSE(ranges_of({.action = action, .at = at(100)}, may).empty());
  }
}

TEST(Rule, last_said_wins_but_what_was_cancelled_stays_so) {
  const auto config = Config::parse("[destination.\"b.example\"]\nhold = \"manual\"\n", "test");
  ASSERT_TRUE(config);
  std::vector<Rule> rules;
  EXPECT_TRUE(is_same(standing(rules, may, *config).held, {{16, 16}}));
  rules.push_back({.action = Rule::Action::hold, .at = at(200), .campaign = "may"});
  EXPECT_TRUE(is_same(standing(rules, may, *config).held, {{0, 64}}));
  rules.push_back({.action = Rule::Action::release, .at = at(201), .destination = "b.example"});
  EXPECT_TRUE(is_same(standing(rules, may, *config).held, {{0, 16}, {32, 32}}));
  rules.push_back({.action = Rule::Action::cancel, .at = at(202), .destination = "a.example"});
  rules.push_back({.action = Rule::Action::hold, .at = at(203)});
  rules.push_back({.action = Rule::Action::retry, .at = at(204), .recipients = {{7, 8, 20}}});
  const Standing now = standing(rules, may, *config);
  EXPECT_TRUE(is_same(now.cancelled, {{0, 16}}));
  EXPECT_TRUE(is_same(now.held, {{16, 48}}));
  EXPECT_TRUE(is_same(now.retried, {{16, 5}}));
}

TEST(Rule, of_etrn_frees_what_only_the_configuration_keeps_for_it) {
  const auto config = Config::parse(
      "[destination.\"b.example\"]\nhold = \"etrn\"\n"
      "[destination.\"*.b.example\"]\nhold = \"manual\"\n",
      "test");
  ASSERT_TRUE(config);
  const auto etrn = [](int64_t s, std::string destination) {
    return Rule{.action = Rule::Action::etrn, .at = at(s), .destination = std::move(destination)};
  };
  EXPECT_TRUE(is_same(standing({}, may, *config).held, {{16, 32}}));
  EXPECT_TRUE(is_same(standing({etrn(99, "b.example")}, may, *config).held, {{16, 32}}));
  EXPECT_TRUE(is_same(standing({etrn(200, "*.b.example")}, may, *config).held, {{16, 32}}));
  EXPECT_TRUE(is_same(standing({etrn(200, "*.example")}, may, *config).held, {{32, 16}}));
  const Standing freed = standing({etrn(200, "b.example")}, may, *config);
  EXPECT_TRUE(is_same(freed.held, {{32, 16}}));
  EXPECT_TRUE(is_same(freed.retried, {{16, 16}}));
  // An operator's word counts more, whenever it was said.
  const Rule hold{.action = Rule::Action::hold, .at = at(50), .destination = "b.example"};
  EXPECT_TRUE(is_same(standing({hold, etrn(200, "b.example")}, may, *config).held, {{16, 32}}));
}

TEST(Rule, of_release_takes_back_a_hold_that_it_covers_for_later_mail_too) {
  const Config config = *Config::parse("", "test");
  const Rule hold{.action = Rule::Action::hold, .at = at(50), .destination = "b.example"};
  Rule release{.action = Rule::Action::release, .at = at(60), .destination = "b.example"};
  EXPECT_TRUE(is_same(standing({hold}, may, config).held, {{16, 16}}));
  EXPECT_TRUE(standing({hold, release}, may, config).held.empty());
  EXPECT_TRUE(is_same(standing({release, hold}, may, config).held, {{16, 16}}));
  release.destination = "a.example";
  EXPECT_TRUE(is_same(standing({hold, release}, may, config).held, {{16, 16}}));
  release.destination.clear();
  EXPECT_TRUE(standing({hold, release}, may, config).held.empty());
  release.campaign = "june";
  EXPECT_TRUE(is_same(standing({hold, release}, may, config).held, {{16, 16}}));
}

TEST_F(RangeAlgebra, of_rules_is_what_each_recipient_was_told_last) {
  SCOPED_TRACE(seed_);
  const auto config = Config::parse("[destination.\"*.example\"]\nhold = \"etrn\"\n", "test");
  ASSERT_TRUE(config);
  const std::string destinations[] = {"", "a.example", "b.example", "*.b.example", "*.example"};
  for (int round = 0; round < 5'000; ++round) {
    std::vector<Rule> rules;
    Numbers held(recipients), cancelled(recipients), retried(recipients);
    std::fill(held.begin(), held.begin() + 48, true);
    for (unsigned left = random() % 8; left > 0; --left) {
      Rule rule{.action = static_cast<Rule::Action>(random() % 4), .at = at(100 + random() % 10)};
      rule.destination = destinations[random() % std::size(destinations)];
      for (unsigned n = random() % 3; n > 0; --n) {
        const uint32_t first = random() % recipients;
        rule.recipients.push_back({7, first, first + random() % 30});
      }
      const Numbers meant = numbers(ranges_of(rule, may));
      for (uint32_t i = 0; i < recipients; ++i) {
        if (!meant[i]) continue;
        if (rule.action == Rule::Action::hold) held[i] = true;
        if (rule.action == Rule::Action::release) held[i] = false;
        if (rule.action == Rule::Action::retry) retried[i] = true;
        if (rule.action == Rule::Action::cancel) cancelled[i] = true;
      }
      rules.push_back(std::move(rule));
    }
    for (uint32_t i = 0; i < recipients; ++i)
      if (cancelled[i]) held[i] = retried[i] = false;
    const Standing now = standing(rules, may, *config);
    ASSERT_TRUE(is_same(now.held, ranges(held)));
    ASSERT_TRUE(is_same(now.cancelled, ranges(cancelled)));
    ASSERT_TRUE(is_same(now.retried, ranges(retried)));
  }
}

}  // namespace
}  // namespace sluice::engine::queue
