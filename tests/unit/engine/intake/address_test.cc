#include "engine/intake/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::engine::intake {
namespace {

std::string normal(std::string_view text) {
  std::string out;
  const auto parts = normalise_address(text, out);
  if (!parts) return "!" + std::string(parts.error());
  EXPECT_EQ(out[parts->local_bytes], '@');
  EXPECT_EQ(out.find('@', parts->local_bytes + 1), out.npos);
  return out;
}

TEST(Address, domain_is_lower_cased_and_the_local_part_is_not) {
  EXPECT_EQ(normal("Ann.Lee+News@Example.ORG"), "Ann.Lee+News@example.org");
  EXPECT_EQ(normal("!#$%&'*+-/=?^_`{|}~@localhost"), "!#$%&'*+-/=?^_`{|}~@localhost");
}

TEST(Address, international_domain_becomes_a_labels_without_transition) {
  EXPECT_EQ(normal("a@B\xc3\xbc"
                   "cher.example"),
            "a@xn--bcher-kva.example");
  EXPECT_EQ(normal("a@stra\xc3\x9f"
                   "e.example"),
            "a@xn--strae-oqa.example");  // transitional: strasse
  EXPECT_EQ(normal("a@xn--bcher-kva.example"), "a@xn--bcher-kva.example");
  EXPECT_EQ(normal("a@b\xc3\xbc"
                   "cher\xe3\x80\x82"
                   "example"),
            "a@xn--bcher-kva.example");  // U+3002 is a dot, UTS 46
}

TEST(Address, local_part_in_utf8_needs_smtputf8) {
  std::string out;
  EXPECT_TRUE(normalise_address("j\xc3\xb6rg@example.org", out)->needs_smtputf8);
  EXPECT_EQ(out, "j\xc3\xb6rg@example.org");
  EXPECT_FALSE(normalise_address("joerg@b\xc3\xbc"
                                 "cher.example",
                                 out)
                   ->needs_smtputf8);
}

TEST(Address, quoted_local_part_has_the_least_quoting) {
  EXPECT_EQ(normal("\"ann\"@a.example"), "ann@a.example");
  EXPECT_EQ(normal("\"a\\nn\"@a.example"), "ann@a.example");
  EXPECT_EQ(normal("\"ann lee\"@a.example"), "\"ann lee\"@a.example");
  EXPECT_EQ(normal("\"a@b\"@a.example"), "\"a@b\"@a.example");
  EXPECT_EQ(normal("\"a\\\"\\\\b\"@a.example"), "\"a\\\"\\\\b\"@a.example");
}

TEST(Address, literal_is_written_in_one_way) {
  EXPECT_EQ(normal("a@[192.0.2.1]"), "a@[192.0.2.1]");
  EXPECT_EQ(normal("a@[ipv6:2001:DB8:0::1]"), "a@[IPv6:2001:db8::1]");
}

TEST(Address, limits_are_those_of_rfc_5321) {
  const std::string label(63, 'd');
  EXPECT_EQ(normal(std::string(64, 'l') + "@d.example"), std::string(64, 'l') + "@d.example");
  EXPECT_EQ(normal(std::string(65, 'l') + "@d.example"),
            "!its local part is longer than 64 octets");
  EXPECT_EQ(normal("a@" + label + ".example"), "a@" + label + ".example");
  EXPECT_EQ(normal("a@d" + label + ".example"), "!a label of its domain is longer than 63 octets");
  const std::string domain = label + '.' + label + '.' + label + '.';
  EXPECT_EQ(normal("a@" + domain + std::string(60, 'e')), "a@" + domain + std::string(60, 'e'));
  EXPECT_EQ(normal("a@" + domain + std::string(61, 'e')), "!it is longer than 254 octets");
}

struct Bad {
  std::string_view text, reason;
};

class BadAddress : public testing::TestWithParam<Bad> {};

TEST_P(BadAddress, is_refused_with_its_reason) {
  EXPECT_THAT(normal(GetParam().text), testing::HasSubstr(std::string(GetParam().reason)));
}

INSTANTIATE_TEST_SUITE_P(
    , BadAddress,
    testing::Values(
        Bad{"", "empty"}, Bad{"no-at-sign", "no @"}, Bad{"@a.example", "nothing before the @"},
        Bad{"a@", "nothing behind the @"}, Bad{"a@b@c.example", "more than one @"},
        Bad{"a b@c.example", "a space"}, Bad{"Ann <a@b.example>", "without <>"},
        Bad{"<a@b.example", "without <>"}, Bad{".a@b.example", "begins or ends with a dot"},
        Bad{"a.@b.example", "begins or ends with a dot"}, Bad{"a..b@c.example", "two dots"},
        Bad{"a@b..example", "empty label"}, Bad{"a@.example", "empty label"},
        Bad{"a@b.example.", "ends with a dot"}, Bad{"a@-b.example", "hyphen"},
        Bad{"a@b-.example", "hyphen"}, Bad{"a@b_c.example", "no host name has"},
        Bad{"a@192.0.2.1", "ends in a number"}, Bad{"a@[192.0.2]", "literal"},
        Bad{"a@[IPv6:::g]", "literal"}, Bad{"a@[", "literal"},
        Bad{"\"a@b.example", "must be quoted"}, Bad{"\"a\"b\"@c.example", "quoted local part"},
        Bad{"\"\"@c.example", "quoted local part"}, Bad{"\"a\\\"@c.example", "quoted local part"},
        Bad{"\"a\r\nb\"@c.example", "quoted local part"}, Bad{"a\r\nb@c.example", "must be quoted"},
        Bad{std::string_view("a\0b@c.example", 13), "must be quoted"},
        Bad{"a@b.example\r\n", "no host name has"}, Bad{"a@b\xff.example", "not UTF-8"},
        Bad{"\xff@b.example", "not UTF-8"}, Bad{"a\xc2\x85@b.example", "not UTF-8 text"},
        Bad{"a@\xe2\x98\x83\xef\xbf\xbd.example", "internationalised"}));

}  // namespace
}  // namespace sluice::engine::intake
