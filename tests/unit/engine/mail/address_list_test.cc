#include "engine/mail/address_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::engine::mail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> parsed(std::string_view value) {
  const auto result = parse_address_list(value);
  EXPECT_TRUE(result) << value << ": " << (result ? "" : result.error().reason);
  return result.value_or(std::vector<std::string>{"(none)"});
}

std::string_view mistake(std::string_view value) {
  const auto result = parse_address_list(value);
  return result ? "(no mistake)" : result.error().reason;
}

TEST(AddressList, gives_plain_addresses_in_their_order) {
  EXPECT_THAT(parsed("ann@example.net,bob@example.org, carl@example.com"),
              ElementsAre("ann@example.net", "bob@example.org", "carl@example.com"));
}

TEST(AddressList, passes_over_names_comments_and_folds) {
  EXPECT_THAT(
      parsed(" Ann Marie <ann@example.net>,\r\n\t\"Smith, Bob (no comment)\" <bob@example.org>\r\n"
             " (the (nested \\) one), he) , carl@example.com (Carl)"),
      ElementsAre("ann@example.net", "bob@example.org", "carl@example.com"));
}

TEST(AddressList, passes_over_encoded_and_raw_utf8_names) {
  EXPECT_THAT(
      parsed("=?utf-8?q?J=C3=B6rg?= <joerg@example.net>, Jörg <j@example.org>, jörg@example.com"),
      ElementsAre("joerg@example.net", "j@example.org", "jörg@example.com"));
}

TEST(AddressList, opens_groups) {
  EXPECT_THAT(parsed("Team: ann@example.net, Bob <bob@example.org>;, carl@example.com, nobody:;"),
              ElementsAre("ann@example.net", "bob@example.org", "carl@example.com"));
  EXPECT_THAT(parsed("undisclosed-recipients:;"), IsEmpty());
}

TEST(AddressList, keeps_quoted_local_parts_and_literals) {
  EXPECT_THAT(parsed("\"a b\"@example.net, \"x\\\"y\"@[192.0.2.1], <\"@\"@example.org>"),
              ElementsAre("\"a b\"@example.net", "\"x\\\"y\"@[192.0.2.1]", "\"@\"@example.org"));
}

TEST(AddressList, takes_local_names_without_a_domain) {
  EXPECT_THAT(parsed("root, Ann <ann>, bob.smith"), ElementsAre("root", "ann", "bob.smith"));
}

TEST(AddressList, takes_the_obsolete_forms) {
  EXPECT_THAT(
      parsed(
          ",, ann . marie (c) @ example . net ,, <@relay.example,@other.example:bob@example.org>,"),
      ElementsAre("ann.marie@example.net", "bob@example.org"));
}

TEST(AddressList, is_empty_for_blanks_and_comments) {
  EXPECT_THAT(parsed(""), IsEmpty());
  EXPECT_THAT(parsed(" \r\n (nobody) "), IsEmpty());
}

TEST(AddressList, says_what_is_wrong) {
  EXPECT_THAT(mistake("Ann Marie"), HasSubstr("blanks in an address"));
  EXPECT_THAT(mistake("ann@example.net bob@example.org"), HasSubstr("comma is missing"));
  EXPECT_THAT(mistake("<ann@example.net> bob@example.org"), HasSubstr("comma is missing"));
  EXPECT_THAT(mistake("<ann@example.net"), HasSubstr("< without >"));
  EXPECT_THAT(mistake("ann@"), HasSubstr("nothing behind an @"));
  EXPECT_THAT(mistake("@example.net"), HasSubstr("nothing before"));
  EXPECT_THAT(mistake("Nobody <>"), HasSubstr("no address within <>"));
  EXPECT_THAT(mistake("\"ann"), HasSubstr("quoted text without its end"));
  EXPECT_THAT(mistake("ann@example.net (Ann"), HasSubstr("comment without its )"));
  EXPECT_THAT(mistake("ann@[192.0.2.1"), HasSubstr("literal without its ]"));
  EXPECT_THAT(mistake("Team: ann@example.net"), HasSubstr("group without its ;"));
  EXPECT_THAT(mistake("Team: a@example.net; b@example.net"), HasSubstr("comma is missing"));
  EXPECT_THAT(mistake("<@relay.example ann@example.net>"), HasSubstr("blank is too many"));
  EXPECT_THAT(mistake("ann\\@example.net"), HasSubstr("missing"));
}

TEST(AddressList, says_where) {
  const auto result = parse_address_list("ann@example.net, bob@");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().offset, 21u);
}

}  // namespace
}  // namespace sluice::engine::mail
