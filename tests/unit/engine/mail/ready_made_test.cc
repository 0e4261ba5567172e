#include <gtest/gtest.h>

#include <string>

#include "engine/mail/program_builder.h"
#include "merging.h"

namespace sluice::engine::mail {
namespace {

std::string merged(const Template& t, std::string_view message, uint8_t flags = 0) {
  Recipient recipient;
  recipient.flags = flags;
  recipient.address = "ann@a.example";
  recipient.fields = {message};
  Merge merge;
  merge.begin(t, recipient, 3);
  std::string out = Merging::read_all(merge, 7);
  EXPECT_GE(static_cast<double>(merge.bytes_estimate()), 0.9 * static_cast<double>(out.size()));
  return out;
}

TEST(ReadyMadeTemplate, sends_its_field_octet_for_octet) {
  std::string message = "From: a@b.example\r\n\r\n..\r\n..x <&>\r\nA\xc3\xa9\t\x01\r\n";
  for (int i = 0; i < 1000; ++i) message += "a line = of a long message\r\n";
  EXPECT_EQ(merged(Template::ready_made(), message), message);
  EXPECT_EQ(merged(Template::ready_made(), message, Recipient::is_plain), message);
}

TEST(ReadyMadeTemplate, comes_back_as_it_was_encoded) {
  const std::string encoded = Template::ready_made().encode();
  const auto decoded = Template::decode(std::as_bytes(std::span(encoded)));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->columns(), 1u);
  EXPECT_EQ(merged(*decoded, "..\r\n"), "..\r\n");
}

TEST(ReadyMadeTemplate, has_the_null_sender) {
  const Template t = Template::ready_made();
  Recipient recipient;
  recipient.fields = {"x\r\n"};
  Merge merge;
  merge.begin(t, recipient, 0);
  std::string sender = "left over";
  merge.sender(sender);
  EXPECT_EQ(sender, "");
  merge.message_id(sender);
  EXPECT_EQ(sender, "");
}

TEST(ReadyMadeTemplate, needs_extensions_only_when_its_recipient_says_so) {
  const Template t = Template::ready_made();
  for (const int flags :
       {0, int{Recipient::needs_8bit}, Recipient::needs_8bit | Recipient::needs_smtputf8}) {
    Recipient recipient;
    recipient.flags = static_cast<uint8_t>(flags);
    recipient.fields = {"x\r\n"};
    Merge merge;
    merge.begin(t, recipient, 0);
    EXPECT_EQ(merge.needs_8bitmime(), (flags & Recipient::needs_8bit) != 0);
    EXPECT_EQ(merge.needs_smtputf8(), (flags & Recipient::needs_smtputf8) != 0);
  }
}

TEST(ReadyMadeTemplate, slot_of_its_kind_is_damage_within_a_header_field) {
  ProgramBuilder builder;
  const uint32_t field = builder.begin_field("Subject:", false);
  const uint32_t element = builder.begin_element(Layout::unstructured);
  builder.slot(0, Escape::none);
  builder.end(element);
  builder.end_field(field);
  builder.end_message();
  Program program = std::move(builder).finish({false});
  ASSERT_TRUE(program.is_well_formed());
  for (Instruction& instruction : program.code)
    if (instruction.op == Op::slot) instruction.kind = static_cast<uint8_t>(Escape::wire);
  const std::string encoded = program.encode();
  EXPECT_FALSE(Program::decode(std::as_bytes(std::span(encoded))));
}

}  // namespace
}  // namespace sluice::engine::mail
