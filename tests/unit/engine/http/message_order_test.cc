#include "engine/http/message_order.h"

#include <gmock/gmock.h>

namespace sluice::engine::http {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using testing::StartsWith;
using enum MessageOrder::Form;

MessageOrder parsed(std::string_view json, MessageOrder::Form form = document) {
  auto order = MessageOrder::parse(json, form);
  EXPECT_TRUE(order) << (order ? "" : order.error().front());
  return order ? *std::move(order) : MessageOrder{};
}

std::vector<std::string> mistakes(std::string_view json, MessageOrder::Form form = document) {
  const auto order = MessageOrder::parse(json, form);
  return order ? std::vector<std::string>{} : order.error();
}

TEST(MessageOrder, reads_a_message_for_addresses) {
  const auto order = parsed(
      R"({"from": "a@B.example", "to": ["x@y.example", {"email": "z@y.example"}], "message": "Subject: {{x}}\n\n"})");
  EXPECT_TRUE(order.options.is_literal);
  EXPECT_EQ(order.options.from, "a@b.example");
  EXPECT_EQ(order.text, "Subject: {{x}}\n\n");
  EXPECT_EQ(order.recipients, "{\"email\":\"x@y.example\"}\n{\"email\":\"z@y.example\"}\n");
  EXPECT_EQ(order.options.notices, Notices::log);
  EXPECT_FALSE(order.options.priority);
}

TEST(MessageOrder, reads_a_template_with_all_wishes) {
  const auto order = parsed(
      R"({"from": "b+{{id}}@b.example", "to": [{"email": "x@y.example", "id": 7}], "template": "x",
    "campaign": "c", "priority": "non-urgent", "notify": "success,delay", "ret": "full", "envid": "QQ",
    "unsubscribe": "https://b.example/{{id}}"})");
  EXPECT_FALSE(order.options.is_literal);
  EXPECT_EQ(order.options.from, "b+{{id}}@b.example");
  EXPECT_EQ(order.options.campaign, "c");
  EXPECT_EQ(order.options.priority, Priority::non_urgent);
  EXPECT_EQ(order.options.notify, smtp::notify_success | smtp::notify_delay);
  EXPECT_EQ(order.options.notices, Notices::sender);
  EXPECT_EQ(order.options.returned, smtp::ReturnedContent::full);
  EXPECT_EQ(order.options.envelope_id, "QQ");
  EXPECT_EQ(order.options.unsubscribe, "https://b.example/{{id}}");
}

TEST(MessageOrder, never_means_no_notices) {
  const auto order = parsed(
      R"({"notices": "sender", "notify": "never", "from": "", "to": ["x@y.example"], "message": "x"})");
  EXPECT_EQ(order.options.notices, Notices::log);
  EXPECT_EQ(order.options.from, "");
}

TEST(MessageOrder, a_row_stays_a_line_whatever_its_values) {
  const auto order = parsed(
      "{\"from\": \"\", \"template\": \"x\", \"to\": [{\n \"email\": \"x@y.example\",\n \"n\": "
      "\"a\\nb\"}]}");
  EXPECT_EQ(order.recipients, "{\"email\":\"x@y.example\",\"n\":\"a\\nb\"}\n");
}

TEST(MessageOrder, the_head_of_a_stream_has_no_recipients) {
  EXPECT_EQ(parsed(R"({"from": "", "message": "x"})", stream_head).recipients, "");
  EXPECT_THAT(mistakes(R"({"from": "", "message": "x", "to": []})", stream_head),
              ElementsAre(HasSubstr("lines behind the first")));
}

TEST(MessageOrder, tells_all_mistakes_with_their_place) {
  const auto all = mistakes(
      R"({"to": ["a@b.example", 7, []], "message": 1, "priority": "soon", "frm": "x", "envid": "\n"})");
  EXPECT_THAT(all, SizeIs(8));
  for (const char* start : {"to[1]: ", "to[2]: ", "message: a string",
                            "priority: ", "'frm': ", "envid: ", "from: ", "message: it is missing"})
    EXPECT_THAT(all, Contains(StartsWith(start)));
}

TEST(MessageOrder, a_message_and_a_template_exclude_each_other) {
  EXPECT_THAT(mistakes(R"({"from": "", "to": ["a@b.example"], "message": "x", "template": "y"})"),
              ElementsAre(HasSubstr("exclude each other")));
}

TEST(MessageOrder, the_sender_of_a_message_is_an_address) {
  EXPECT_THAT(mistakes(R"({"from": "a b@c.example", "to": ["a@b.example"], "message": "x"})"),
              ElementsAre(HasSubstr("is not an address")));
  EXPECT_THAT(
      mistakes(R"({"from": "a@c.example>\r\nRSET", "to": ["a@b.example"], "message": "x"})"),
      ElementsAre(HasSubstr("is not an address")));
}

TEST(MessageOrder, says_what_is_no_json) {
  for (const std::string_view text : {"", "{", "nul", "{\"from\": \"\xff\"}", "{} {}"})
    EXPECT_THAT(mistakes(text), ElementsAre(StartsWith("no JSON: "))) << text;
  EXPECT_THAT(mistakes("[]"), ElementsAre(StartsWith("no JSON object: ")));
  EXPECT_THAT(mistakes("7"), ElementsAre(StartsWith("no JSON object: ")));
}

}  // namespace
}  // namespace sluice::engine::http
