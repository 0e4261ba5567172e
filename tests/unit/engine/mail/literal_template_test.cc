#include <gtest/gtest.h>

#include <string>

#include "merging.h"

namespace sluice::engine::mail {
namespace {

struct Merged {
  std::string wire, sender, message_id;
  bool needs_8bitmime = false, needs_smtputf8 = false;
};

Merged merged(const Template& t) {
  Recipient recipient;
  recipient.address = "ann@a.example";
  Merge merge;
  merge.begin(t, recipient, 3);
  Merged out{.wire = Merging::read_all(merge, 7)};
  EXPECT_GE(static_cast<double>(merge.bytes_estimate()),
            0.9 * static_cast<double>(out.wire.size()));
  merge.sender(out.sender);
  merge.message_id(out.message_id);
  out.needs_8bitmime = merge.needs_8bitmime();
  out.needs_smtputf8 = merge.needs_smtputf8();
  return out;
}

TEST(LiteralTemplate, sends_what_looks_like_a_tag) {
  const std::string message =
      "From: {{a}}\r\nMessage-Id: <1@b.example>\r\nTo: {{#x}}\r\n\r\n{{ }} {{> y}}\r\n";
  const Merged out = merged(Template::literal(message, "{{x}}@b.example"));
  EXPECT_EQ(out.wire, message);
  EXPECT_EQ(out.sender, "{{x}}@b.example");
}

TEST(LiteralTemplate, knows_its_message_id) {
  EXPECT_EQ(merged(Template::literal("MESSAGE-ID:\r\n <1@b.example>\r\n\r\n", "")).message_id,
            "<1@b.example>");
  EXPECT_EQ(merged(Template::literal("Message-ID: <1@b.example>\r\n\r\n", "")).wire,
            "Message-ID: <1@b.example>\r\n\r\n");
  const Merged odd = merged(Template::literal("Message-ID: no id\r\n\r\n", ""));
  EXPECT_EQ(odd.message_id, "");
  EXPECT_EQ(odd.wire, "Message-ID: no id\r\n\r\n");
}

TEST(LiteralTemplate, stuffs_dots) {
  EXPECT_EQ(merged(Template::literal("Message-ID: <1@b>\r\n\r\n.\r\n..\r\nx.\r\n", "")).wire,
            "Message-ID: <1@b>\r\n\r\n..\r\n...\r\nx.\r\n");
  EXPECT_EQ(merged(Template::literal(".x: y\r\nMessage-ID: <1@b>\r\n.z: y\r\n\r\n", "")).wire,
            "..x: y\r\nMessage-ID: <1@b>\r\n..z: y\r\n\r\n");
}

TEST(LiteralTemplate, is_the_same_for_all) {
  EXPECT_FALSE(Template::literal("Message-ID: <1@b>\r\n\r\n", "a@b.example").is_personal());
  EXPECT_EQ(Template::literal("Message-ID: <1@b>\r\n\r\n", "a@b.example").columns(), 0u);
}

TEST(LiteralTemplate, needs_extensions_for_octets_over_127) {
  EXPECT_FALSE(merged(Template::literal("A: b\r\n\r\n", "a@b.example")).needs_8bitmime);
  EXPECT_TRUE(merged(Template::literal("A: b\r\n\r\n\xc3\xb6\r\n", "a@b.example")).needs_8bitmime);
  EXPECT_FALSE(merged(Template::literal("A: b\r\n\r\n\xc3\xb6\r\n", "a@b.example")).needs_smtputf8);
  EXPECT_TRUE(merged(Template::literal("A: b\r\n\r\n", "\xc3\xb6@b.example")).needs_smtputf8);
}

TEST(LiteralTemplate, comes_back_as_it_was_encoded) {
  const std::string encoded =
      Template::literal("Message-ID: <1@b>\r\n\r\nx\r\n", "a@b.example").encode();
  const auto decoded = Template::decode(std::as_bytes(std::span(encoded)));
  ASSERT_TRUE(decoded);
  const Merged out = merged(*decoded);
  EXPECT_EQ(out.wire, "Message-ID: <1@b>\r\n\r\nx\r\n");
  EXPECT_EQ(out.message_id, "<1@b>");
}

}  // namespace
}  // namespace sluice::engine::mail
