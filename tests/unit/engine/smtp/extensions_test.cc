#include "engine/smtp/extensions.h"

#include <gtest/gtest.h>

namespace sluice::engine::smtp {
namespace {

TEST(Extensions, are_read_whatever_their_case_and_order) {
  EXPECT_EQ(parse_extensions(
                "250-mx\n250-Pipelining\n250-SIZE 52428800\n250-8bitmime\n250-STARTTLS\n250-x-odd\n"
                "250-ENHANCEDSTATUSCODES\n250 smtputf8"),
            (Extensions{.esmtp = true,
                        .pipelining = true,
                        .size = true,
                        .eight_bit_mime = true,
                        .smtp_utf8 = true,
                        .starttls = true,
                        .enhanced = true,
                        .size_max = 52428800}));
}

TEST(Extensions, are_not_read_from_the_greeting_line) {
  EXPECT_EQ(parse_extensions("250 PIPELINING"), Extensions{.esmtp = true});
  EXPECT_EQ(parse_extensions("250-PIPELINING\n250 HELP"), Extensions{.esmtp = true});
}

TEST(Extensions, need_the_whole_keyword) {
  EXPECT_EQ(parse_extensions(
                "250-mx\n250-PIPELININGS\n250-PIPELIN\n250-SIZE=5\n250- PIPELINING\n250-\n250"),
            Extensions{.esmtp = true});
}

TEST(Extensions, tell_no_size_limit_unless_it_is_a_number) {
  const auto limit = [](std::string_view parameter) {
    const Extensions e = parse_extensions("250-mx\n250 SIZE" + std::string(parameter));
    EXPECT_TRUE(e.size) << parameter;
    return e.size_max;
  };
  EXPECT_EQ(limit(""), 0u);
  EXPECT_EQ(limit(" "), 0u);
  EXPECT_EQ(limit(" 0"), 0u);
  EXPECT_EQ(limit(" 10 20"), 10u);
  EXPECT_EQ(limit(" 10M"), 0u);
  EXPECT_EQ(limit(" -1"), 0u);
  EXPECT_EQ(limit(" 18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(limit(" 18446744073709551616"), 0u);
}

TEST(Extensions, tell_how_many_transactions_and_recipients_a_server_takes) {
  const auto limits = [](std::string_view parameters) {
    const Extensions e = parse_extensions("250-mx\n250 LIMITS" + std::string(parameters));
    return std::pair(e.transactions_max, e.recipients_max);
  };
  EXPECT_EQ(limits(" RCPTMAX=20 MAILMAX=5"), std::pair(5u, 20u));
  EXPECT_EQ(limits(" RCPTDOMAINMAX=1  rcptmax=100"), std::pair(0u, 100u));
  EXPECT_EQ(limits(""), std::pair(0u, 0u));
  EXPECT_EQ(limits(" RCPTMAX MAILMAX="), std::pair(0u, 0u)) << "no number";
  EXPECT_EQ(limits(" RCPTMAX=0 MAILMAX=-1"), std::pair(0u, 0u));
  EXPECT_EQ(limits(" RCPTMAX=10x MAILMAX=99999999999"), std::pair(0u, 0u));
}

}  // namespace
}  // namespace sluice::engine::smtp
