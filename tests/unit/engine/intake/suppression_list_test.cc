#include "engine/intake/suppression_list.h"

#include <gmock/gmock.h>

#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SuppressionListTest : public ScratchFolder {
 protected:
  std::vector<std::string> read_list(std::string_view content) {
    auto list = SuppressionList::open(write("s", content));
    EXPECT_TRUE(list);
    std::vector<std::string> said;
    for (std::string_view address;;) {
      const auto status = (*list)->next(address);
      if (status == SuppressionList::Status::end) return said;
      said.push_back(status == SuppressionList::Status::address
                         ? std::string(address)
                         : (*list)->error().text.substr(folder_.size() + 1));
      if (status == SuppressionList::Status::broken) return said;
    }
  }
};

TEST_F(SuppressionListTest, has_an_address_or_a_domain_a_line) {
  EXPECT_THAT(
      read_list("\xef\xbb\xbf# who left, \"we know\nAnn@A.Example\r\n\n  bob@b.example \n@B\xc3\xbc"
                "cher.example\n\"x y\"@c.example"),
      ElementsAre("Ann@a.example", "bob@b.example", "@xn--bcher-kva.example", "\"x y\"@c.example"));
}

TEST_F(SuppressionListTest, may_be_csv_with_a_column_email) {
  EXPECT_THAT(read_list("# exported\nid,\"Email\",why\n1,ann@a.example,\"a, "
                        "b\"\n2,@b.example,x\n3,nobody,x\n4\n"),
              ElementsAre("ann@a.example", "@b.example", HasSubstr("s:5: 'nobody' is neither"),
                          HasSubstr("s:6: 1 field")));
  EXPECT_THAT(read_list("email\nann@a.example\n"), ElementsAre("ann@a.example"));
}

TEST_F(SuppressionListTest, tells_lines_that_suppress_nobody) {
  EXPECT_THAT(
      read_list("a@b.example\nnobody\n@-\nc@d.example\n"),
      ElementsAre("a@b.example",
                  HasSubstr("s:2: 'nobody' is neither an address nor an @domain: it has no @"),
                  HasSubstr("s:3: '@-' is neither"), "c@d.example"));
}

TEST_F(SuppressionListTest, empty_one_suppresses_nobody) {
  EXPECT_THAT(read_list(""), ElementsAre());
  EXPECT_THAT(read_list("# nobody yet"), ElementsAre());
}

}  // namespace
}  // namespace sluice::engine::intake
