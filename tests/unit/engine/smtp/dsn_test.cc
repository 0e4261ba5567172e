#include "engine/smtp/dsn.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sluice::engine::smtp {
namespace {

TEST(Notify, is_never_or_a_list_without_it) {
  EXPECT_EQ(parse_notify("NEVER"), notify_never);
  EXPECT_EQ(parse_notify("success"), notify_success);
  EXPECT_EQ(parse_notify("Delay,failure"), notify_delay | notify_failure);
  for (const char* odd :
       {"", ",", "success,", ",success", "never,delay", "always", "success delay"})
    EXPECT_FALSE(parse_notify(odd)) << odd;
}

TEST(Notify, is_written_as_it_is_read) {
  EXPECT_EQ(notify_text(0), "");
  EXPECT_EQ(notify_text(notify_never), "NEVER");
  for (Notify notify = 2; notify < 16; notify = static_cast<Notify>(notify + 2))
    EXPECT_EQ(parse_notify(notify_text(notify)), notify);
}

TEST(ReturnedContent, is_headers_or_full) {
  EXPECT_EQ(parse_returned_content("HDRS"), ReturnedContent::headers);
  EXPECT_EQ(parse_returned_content("headers"), ReturnedContent::headers);
  EXPECT_EQ(parse_returned_content("full"), ReturnedContent::full);
  EXPECT_FALSE(parse_returned_content(""));
  EXPECT_FALSE(parse_returned_content("fully"));
}

std::string xtext(std::string_view text) {
  std::array<char, 40> out;
  const auto size = write_xtext(text, out);
  return size ? std::string(out.data(), *size) : "none";
}

TEST(Xtext, is_printable_without_plus_equals_and_blanks) {
  EXPECT_EQ(xtext("a@b.example"), "a@b.example");
  EXPECT_EQ(xtext("a+b=c d~!"), "a+2Bb+3Dc+20d~!");
  EXPECT_EQ(xtext(std::string_view("\0\r\n", 3)), "+00+0D+0A");
  EXPECT_EQ(xtext("\u00fc"), "none");
}

TEST(Xtext, is_written_whole_or_not_at_all) {
  EXPECT_EQ(xtext(std::string(40, 'a')), std::string(40, 'a'));
  EXPECT_EQ(xtext(std::string(41, 'a')), "none");
  EXPECT_EQ(xtext(std::string(37, 'a') + "+"), std::string(37, 'a') + "+2B");
  EXPECT_EQ(xtext(std::string(38, 'a') + "+"), "none");
}

TEST(EnvelopeId, is_of_at_most_100_octets_when_written) {
  EXPECT_TRUE(is_envelope_id(""));
  EXPECT_TRUE(is_envelope_id("issue 47"));
  EXPECT_TRUE(is_envelope_id(std::string(100, 'a')));
  EXPECT_FALSE(is_envelope_id(std::string(101, 'a')));
  EXPECT_FALSE(is_envelope_id(std::string(34, '+')));
  EXPECT_FALSE(is_envelope_id("two\nlines"));
  EXPECT_FALSE(is_envelope_id("\u00fc"));
}

}  // namespace
}  // namespace sluice::engine::smtp
