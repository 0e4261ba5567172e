#include "engine/tlsrpt/day_count.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/tlsrpt/day_text.h"

namespace sluice::engine::tlsrpt {
namespace {

Outcome outcome(TlsResult result, const std::string& domain = "x.test") {
  return {.policy = TlsPolicyType::no_policy_found,
          .result = result,
          .domain = domain,
          .mx = "mx." + domain,
          .reason = result == TlsResult::success ? "" : "why",
          .local = *io::SocketAddress::parse("192.0.2.1:4711"),
          .remote = *io::SocketAddress::parse("[2001:db8::7]:25")};
}

std::string policies_of(DayCount& day, const std::string& domain = "x.test") {
  std::string out;
  for (const auto& [policy, count] : day.find(domain)->policies) {
    append_policy(out, policy, count);
    out += '\n';
  }
  return out;
}

TEST(DayCount, counts_by_policy_and_by_what_failures_have_in_common) {
  DayCount day;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(day.note(outcome(TlsResult::success)));
  for (int i = 0; i < 2; ++i) day.note(outcome(TlsResult::starttls_not_supported));
  Outcome other = outcome(TlsResult::starttls_not_supported);
  other.remote = *io::SocketAddress::parse("192.0.2.9:25");
  day.note(other);
  EXPECT_EQ(policies_of(day),
            R"({"policy":{"policy-type":"no-policy-found","policy-domain":"x.test"},)"
            R"("summary":{"total-successful-session-count":3,"total-failure-session-count":3},)"
            R"("failure-details":[)"
            R"({"result-type":"starttls-not-supported","sending-mta-ip":"192.0.2.1",)"
            R"("receiving-mx-hostname":"mx.x.test","receiving-ip":"192.0.2.9",)"
            R"("failed-session-count":1,"failure-reason-code":"why"},)"
            R"({"result-type":"starttls-not-supported","sending-mta-ip":"192.0.2.1",)"
            R"("receiving-mx-hostname":"mx.x.test","receiving-ip":"2001:db8::7",)"
            R"("failed-session-count":2,"failure-reason-code":"why"}]})"
            "\n");
}

TEST(DayCount, tells_the_policies_that_were_applied) {
  DayCount day;
  Outcome sts = outcome(TlsResult::success);
  sts.policy = TlsPolicyType::sts;
  sts.sts = std::make_shared<const sts::Policy>(
      *sts::parse_policy("version: STSv1\r\nmode: testing\nmx: *.x.test\nmax_age: 86400\n"));
  day.note(sts);
  Outcome dane = outcome(TlsResult::success);
  dane.policy = TlsPolicyType::tlsa;
  dane.dane = std::make_shared<const tls::DanePolicy>(
      tls::DanePolicy{.base_domain = "mx2.x.test", .records = {{3, 1, 1, "\x01\xAB"}}});
  day.note(dane);
  EXPECT_EQ(policies_of(day),
            R"({"policy":{"policy-type":"tlsa","policy-string":["3 1 1 01AB"],)"
            R"("policy-domain":"mx2.x.test"},"summary":{"total-successful-session-count":1,)"
            R"("total-failure-session-count":0}})"
            "\n"
            R"({"policy":{"policy-type":"sts","policy-string":["version: STSv1","mode: testing",)"
            R"("mx: *.x.test","max_age: 86400"],"policy-domain":"x.test","mx-host":["*.x.test"]},)"
            R"("summary":{"total-successful-session-count":1,"total-failure-session-count":0}})"
            "\n");
}

TEST(DayCount, names_the_mx_whose_records_nobody_could_look_up) {
  DayCount day;
  day.note({.policy = TlsPolicyType::tlsa,
            .result = TlsResult::dnssec_invalid,
            .domain = "x.test",
            .mx = "mx.x.test",
            .reason = "SERVFAIL"});
  EXPECT_EQ(policies_of(day),
            R"({"policy":{"policy-type":"tlsa","policy-domain":"mx.x.test"},)"
            R"("summary":{"total-successful-session-count":0,"total-failure-session-count":1},)"
            R"("failure-details":[{"result-type":"dnssec-invalid",)"
            R"("receiving-mx-hostname":"mx.x.test","failed-session-count":1,)"
            R"("failure-reason-code":"SERVFAIL"}]})"
            "\n");
}

TEST(DayCount, counts_ways_beyond_a_hundred_by_their_result_alone) {
  DayCount day;
  Outcome failed = outcome(TlsResult::certificate_expired);
  for (int i = 0; i < 1000; ++i) {
    failed.reason = fmt::format("reason {}", i);
    EXPECT_TRUE(day.note(failed));
  }
  EXPECT_TRUE(day.note(outcome(TlsResult::validation_failure)));
  const PolicyCount& count = day.find("x.test")->policies.begin()->second;
  EXPECT_EQ(count.failed(), 1001u);
  EXPECT_EQ(count.failures.size(), PolicyCount::failures_max + 2);
  EXPECT_EQ(count.failures.at({.result = TlsResult::certificate_expired}), 900u);
  EXPECT_EQ(count.failures.at({.result = TlsResult::validation_failure}), 1u);
}

TEST(DayCount, does_not_count_more_policies_than_a_domain_may_have) {
  DayCount day;
  Outcome dane = outcome(TlsResult::success);
  dane.policy = TlsPolicyType::tlsa;
  for (int i = 0; i < 100; ++i) {
    dane.dane = std::make_shared<const tls::DanePolicy>(
        tls::DanePolicy{.base_domain = fmt::format("mx{}.x.test", i), .records = {{3, 1, 1, "a"}}});
    EXPECT_EQ(day.note(dane), i < static_cast<int>(DomainCount::policies_max));
  }
  EXPECT_EQ(day.find("x.test")->policies.size(), DomainCount::policies_max);
}

TEST(DayCount, takes_no_more_memory_than_it_may) {
  DayCount day;
  Outcome failed = outcome(TlsResult::certificate_expired);
  unsigned domains = 0;
  for (failed.reason = std::string(Outcome::reason_octets_max, 'x');; ++domains) {
    failed.domain = fmt::format("{}.test", domains);
    if (!day.note(failed)) break;
  }
  EXPECT_GT(domains, 10'000u);
  EXPECT_LE(day.octets(), DayCount::octets_max + 1000);
  failed.domain = "7.test";
  failed.reason = "another";
  EXPECT_TRUE(day.note(failed)) << "whom it knows it counts on";
  EXPECT_EQ(day.find("7.test")->policies.begin()->second.failed(), 2u);
  for (unsigned i = 0; i < domains; ++i) day.forget(fmt::format("{}.test", i));
  EXPECT_EQ(day.octets(), 0u);
}

TEST(DayText, gives_back_what_was_written) {
  DayCount day;
  for (const std::string domain : {"x.test", "y.test"})
    for (const TlsResult result :
         {TlsResult::success, TlsResult::sts_policy_invalid, TlsResult::validation_failure})
      day.note(outcome(result, domain));
  DomainCount& count = *day.find("y.test");
  count.is_wanted = true;
  count.progress = {.first_try = io::WallTime(std::chrono::seconds(1'795'000'000)),
                    .tries = 2,
                    .taken = {"mailto:a@y.test"}};
  auto back = parse_day(text_of(day));
  ASSERT_TRUE(back);
  EXPECT_EQ(text_of(*back), text_of(day));
  EXPECT_TRUE(back->find("y.test")->is_wanted);
  EXPECT_EQ(back->find("y.test")->progress.first_try, count.progress.first_try);
  EXPECT_EQ(text_of(*parse_day(text_of(DayCount{}))), text_of(DayCount{}));
}

TEST(DayText, is_none_where_anything_is_not_as_it_should_be) {
  DayCount day;
  day.note(outcome(TlsResult::validation_failure));
  day.find("x.test")->progress.tries = 1;
  const std::string whole = text_of(day);
  for (size_t size = 0; size + 1 < whole.size(); ++size)
    EXPECT_FALSE(parse_day(std::string_view(whole).substr(0, size))) << size;
  for (const auto& [from, to] : std::initializer_list<std::pair<std::string, std::string>>{
           {"tlsrpt 1", "tlsrpt 2"},
           {"\"no-policy-found\"", "\"none\""},
           {"\"validation-failure\"", "7"},
           {"\"wanted\":false", "\"wanted\":0"},
           {"failed-session-count\":1", "failed-session-count\":-1"},
           {"\"policy-domain\"", "\"policy_domain\""},
           {"\"taken\":[]", "\"taken\":[1]"},
           {"\"policies\":[", "\"policies\":[7,"}}) {
    std::string broken = whole;
    ASSERT_NE(broken.find(from), broken.npos) << from;
    broken.replace(broken.find(from), from.size(), to);
    EXPECT_FALSE(parse_day(broken)) << broken;
  }
}

TEST(DayText, names_days_as_people_do) {
  EXPECT_EQ(date_text(*parse_date("2026-02-28") + std::chrono::days(1)), "2026-03-01");
  EXPECT_EQ(date_text(*parse_date("2028-02-29")), "2028-02-29");
  for (const char* text : {"", "2026-02-29", "2026-2-28", "2026-02-281", "26-02-28", "2026-00-01",
                           "2026-13-01", "2026-01-00", "2026/01/01", "1969-01-01", "2026--1-01"})
    EXPECT_FALSE(parse_date(text)) << text;
}

}  // namespace
}  // namespace sluice::engine::tlsrpt
