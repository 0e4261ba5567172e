#include "engine/sts/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sluice::engine::sts {
namespace {

using Mode = Policy::Mode;

const std::string whole =
    "version: STSv1\r\nmode: enforce\r\nmx: MX1.example.test\r\nmx: *.example.test\r\n"
    "max_age: 604800\r\n";

std::string problem(std::string_view text) {
  const auto policy = parse_policy(text);
  return policy ? "" : std::string(policy.error());
}

TEST(StsPolicy, is_read_with_either_end_of_line) {
  std::string unix_like = whole;
  std::erase(unix_like, '\r');
  for (const std::string& text : {whole, unix_like, unix_like.substr(0, unix_like.size() - 1)}) {
    const auto policy = parse_policy(text);
    ASSERT_TRUE(policy) << policy.error();
    EXPECT_EQ(policy->mode, Mode::enforce);
    EXPECT_EQ(policy->max_age_s, 604800u);
    EXPECT_EQ(policy->mx, (std::vector<std::string>{"mx1.example.test", "*.example.test"}));
    EXPECT_EQ(policy->text, text);
  }
}

TEST(StsPolicy, is_no_other_policy_where_it_is_cut) {
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto policy = parse_policy(whole.substr(0, size));
    // Only within the age, which comes last, is what is left a policy, of a shorter life.
    if (!policy) continue;
    EXPECT_GE(size, whole.find("604800") + 1) << size;
    EXPECT_LE(policy->max_age_s, 604800u);
  }
}

TEST(StsPolicy, lacks_nothing_that_it_must_have) {
  EXPECT_EQ(problem(""), "has no version");
  EXPECT_EQ(problem("mode: none\nmax_age: 1\n"), "has no version");
  EXPECT_EQ(problem("version: STSv2\nmode: none\nmax_age: 1\n"),
            "is of a version that is not STSv1");
  EXPECT_EQ(problem("version: STSv1\nmax_age: 1\n"), "has no mode");
  EXPECT_EQ(problem("version: STSv1\nmode: Enforce\nmax_age: 1\n"),
            "has a mode that is none of enforce, testing, none");
  EXPECT_EQ(problem("version: STSv1\nmode: none\n"), "has no max_age");
  for (const char* age : {"", "-1", "1d", "1.5", " ", "12345678901", "99999999999999999999999"})
    EXPECT_EQ(problem("version: STSv1\nmode: none\nmax_age:" + std::string(age) + "\n"),
              "has a max_age that is no number of seconds")
        << age;
  EXPECT_EQ(problem("version: STSv1\nmode: enforce\nmax_age: 1\n"), "names no mx");
  EXPECT_EQ(problem("version: STSv1\nmode: testing\nmax_age: 1\n"), "names no mx");
  EXPECT_EQ(problem("version: STSv1\nmode: none\nmax_age: 1\n"), "");
  EXPECT_EQ(problem("<html>"), "has a line without a colon");
  for (const char* mx : {"", "*", "*.", "a..b", "a.*.b", "a*.test", "mx_1 .test", "-a.test"})
    EXPECT_EQ(problem("version: STSv1\nmode: enforce\nmax_age: 1\nmx: " + std::string(mx) + "\n"),
              "has an mx that is no host name")
        << mx;
  EXPECT_EQ(problem(whole + std::string(Policy::bytes_max, '\n')), "is over 64 KiB");
}

TEST(StsPolicy, takes_the_first_of_a_field_and_passes_over_others) {
  const auto policy = parse_policy(
      "future: Gr\xC3\xBC\xC3\x9F dich\n\n mode :  testing \t\nversion:STSv1\nmode: enforce\n"
      "version: STSv7\nmx: a.test\nmax_age:9999999999\nmax_age: x\n");
  ASSERT_TRUE(policy) << policy.error();
  EXPECT_EQ(policy->mode, Mode::testing);
  EXPECT_EQ(policy->max_age_s, Policy::age_s_max);
}

TEST(StsPolicy, names_hosts_and_all_that_are_one_label_below) {
  const Policy policy{.mx = {"mx.example.test", "*.mail.test"}};
  for (const char* host : {"mx.example.test", "a.mail.test", "xn--mller-kva.mail.test"})
    EXPECT_TRUE(policy.names(host)) << host;
  for (const char* host : {"", "mail.test", ".mail.test", "a.b.mail.test", "amail.test",
                           "example.test", "a.mx.example.test", "mx.example.test.evil.test"})
    EXPECT_FALSE(policy.names(host)) << host;
  EXPECT_FALSE(Policy{}.names("mx.example.test"));
}

}  // namespace
}  // namespace sluice::engine::sts
