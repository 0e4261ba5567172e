#include "engine/intake/recipient_list.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

class RecipientListTest : public ScratchFolder {
 protected:
  /// What the list says, a text a row: address and fields, or the error without the folder.
  std::vector<std::string> read_list(std::string_view name, std::string_view content,
                                     std::vector<bool> forbidden = {}) {
    auto opened = RecipientList::open(write(name, content));
    if (!opened) return {without_folder(opened.error().text)};
    list_ = std::move(*opened);
    list_->forbid_newlines(std::move(forbidden));
    std::vector<std::string> said;
    for (;;) {
      ListEntry entry;
      switch (list_->next(entry)) {
        case RecipientList::Status::end: return said;
        case RecipientList::Status::broken:
          said.push_back(without_folder(list_->error().text));
          return said;
        case RecipientList::Status::bad_row:
          said.push_back(without_folder(list_->error().text));
          break;
        case RecipientList::Status::entry: {
          Recipient recipient;
          EXPECT_TRUE(recipient.decode(std::as_bytes(std::span(entry.encoded)),
                                       list_->columns().size() - 1));
          EXPECT_EQ(recipient.address, entry.address);
          EXPECT_EQ(recipient.address.data(), entry.address.data());
          EXPECT_EQ(entry.address[entry.local_bytes], '@');
          flags_.push_back(recipient.flags);
          std::string line(recipient.address);
          for (const auto field : recipient.fields) line += "|" + std::string(field);
          said.push_back(line);
        }
      }
    }
  }

  std::string without_folder(const std::string& text) const {
    return text.substr(text.find(folder_) == 0 ? folder_.size() + 1 : 0);
  }

  std::unique_ptr<RecipientList> list_;
  std::vector<uint8_t> flags_;
};

TEST_F(RecipientListTest, email_may_be_any_column_in_any_case) {
  EXPECT_THAT(read_list("l.csv", "id,E-Mail,EMAIL,name\n7,x, Ann@A.Example ,Ann\n"),
              ElementsAre("Ann@a.example|7|x|Ann"));
  EXPECT_THAT(list_->columns(), ElementsAre("id", "E-Mail", "email", "name"));
}

TEST_F(RecipientListTest, format_goes_by_the_name_and_else_by_the_first_octet) {
  EXPECT_THAT(read_list("l.jsonl", "\n{\"email\":\"a@b.example\"}"), ElementsAre("a@b.example"));
  EXPECT_THAT(read_list("l.NDJSON", "{\"email\":\"a@b.example\"}"), ElementsAre("a@b.example"));
  EXPECT_THAT(read_list("list", "\n {\"email\":\"a@b.example\"}"), ElementsAre("a@b.example"));
  EXPECT_THAT(read_list("list", "email\na@b.example\n"), ElementsAre("a@b.example"));
  EXPECT_THAT(read_list("l.csv", "{email,email\n1,a@b.example\n"), ElementsAre("a@b.example|1"));
}

TEST_F(RecipientListTest, missing_email_column_is_told_with_what_is_there) {
  EXPECT_THAT(read_list("l.csv", "mail,name\na@b.example,Ann\n"),
              ElementsAre("l.csv:1: no column is named email; there are 'mail', 'name'"));
  EXPECT_THAT(
      read_list("l.csv", "email;name\na@b.example;Ann\n"),
      ElementsAre("l.csv:1: no column is named email; columns are separated by commas (RFC 4180)"));
}

TEST_F(RecipientListTest, columns_without_or_with_the_same_name_are_refused) {
  EXPECT_THAT(read_list("l.csv", "email,,x\n"), ElementsAre("l.csv:1: column 2 has no name"));
  EXPECT_THAT(read_list("l.csv", "email,x,x\n"), ElementsAre("l.csv:1: column 'x' is there twice"));
  EXPECT_THAT(read_list("l.csv", "email,Email\n"),
              ElementsAre("l.csv:1: column 'email' is there twice"));
  EXPECT_THAT(read_list("l.csv", "email,n\xf6\n"),
              ElementsAre("l.csv:1: the name of column 2 is not UTF-8"));
}

TEST_F(RecipientListTest, empty_file_and_missing_file_are_told_apart) {
  EXPECT_THAT(read_list("l.csv", ""), ElementsAre("l.csv: the list is empty"));
  const auto missing = RecipientList::open(path("none.csv"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ListError::Kind::missing);
  EXPECT_THAT(missing.error().text,
              EndsWith("none.csv: cannot be read: No such file or directory"));
  EXPECT_EQ(RecipientList::open(folder_).error().kind, ListError::Kind::missing);
}

TEST_F(RecipientListTest, each_bad_row_has_its_line_and_the_others_are_read) {
  EXPECT_THAT(
      read_list("l.csv",
                "email,name\n"
                "ann@a.example\n"
                "no-at-sign,Bob\n"
                "joerg@a.example,J\xf6rg\n" +
                    std::string("nul@a.example,a\0b\n", 18) +
                    "\"a\n@b.example\",x\n"
                    "eve@a.example,Eve\n"),
      ElementsAre(
          "l.csv:2: 1 field where the header has 2",
          "l.csv:3: 'no-at-sign' is not an address: it has no @",
          "l.csv:4: column 'name': not UTF-8; convert the list, e.g. with iconv -f latin1 -t utf-8",
          "l.csv:5: column 'name': a NUL octet",
          "l.csv:6: column 'email': a line break in an address", "eve@a.example|Eve"));
  EXPECT_EQ(list_->rows(), 6u);
}

TEST_F(RecipientListTest, line_break_is_refused_only_where_the_message_forbids_it) {
  constexpr std::string_view list =
      "a,email,b\n\"x\ny\",ann@a.example,1\n2,ann@a.example,\"Ann\r\nBcc: x@y.example\"\n";
  EXPECT_THAT(
      read_list("l.csv", list, {false, true}),
      ElementsAre("ann@a.example|x\ny|1",
                  "l.csv:4: column 'b': a line break, and the message uses it in a header"));
  EXPECT_THAT(read_list("l.csv", list, {true, false}),
              ElementsAre(HasSubstr("l.csv:2: column 'a': a line break"),
                          "ann@a.example|2|Ann\r\nBcc: x@y.example"));
}

TEST_F(RecipientListTest, flags_say_what_a_recipient_needs) {
  read_list("l.csv",
            "email,v\nann@a.example,Ann Lee. "
            "7\nann@a.example,<b>\nann@a.example,\xc3\xb6\n\xc3\xb6@a.example,x\nann@\xc3\xb6."
            "example,x\n");
  EXPECT_THAT(flags_,
              ElementsAre(Recipient::is_plain, 0, Recipient::needs_8bit,
                          Recipient::needs_8bit | Recipient::needs_smtputf8, Recipient::is_plain));
  EXPECT_EQ(list_->recipients_need(), Recipient::needs_8bit | Recipient::needs_smtputf8);
}

TEST_F(RecipientListTest, statistics_are_those_of_the_columns) {
  read_list("l.csv", "v,email,w\nabc,ann@a.example,\"\n\"\n\xc3\xb6,longer@a.example,\n");
  const auto& statistics = list_->statistics();
  ASSERT_EQ(statistics.size(), 3u);
  EXPECT_EQ(statistics[0].bytes_max, 3u);
  EXPECT_TRUE(statistics[0].has_8bit);
  EXPECT_FALSE(statistics[0].has_newline);
  EXPECT_EQ(statistics[1].bytes_max, 16u);
  EXPECT_FALSE(statistics[1].has_8bit);
  EXPECT_EQ(statistics[2].bytes_max, 1u);
  EXPECT_TRUE(statistics[2].has_newline);
}

TEST_F(RecipientListTest, list_longer_than_its_buffer_is_read_whole) {
  std::string text = "email,n\n";
  for (int i = 0; i < 100000; ++i) text += fmt::format("user{}@a.example,{}\n", i, i);
  ASSERT_GT(text.size(), 2 * RowBuffer::capacity);
  const auto said = read_list("l.csv", text);
  ASSERT_EQ(said.size(), 100000u);
  for (size_t i = 0; i < said.size(); ++i)
    ASSERT_EQ(said[i], fmt::format("user{}@a.example|{}", i, i));
}

}  // namespace
}  // namespace sluice::engine::intake
