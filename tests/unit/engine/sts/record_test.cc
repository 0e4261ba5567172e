#include "engine/sts/record.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::engine::sts {
namespace {

std::optional<std::string> id(std::vector<std::string> records) { return policy_id(records); }

TEST(StsRecord, tells_the_id) {
  EXPECT_EQ(id({"v=STSv1; id=20160831085700Z;"}), "20160831085700Z");
  EXPECT_EQ(id({"v=STSv1;id=a"}), "a");
  EXPECT_EQ(id({"v=STSv1 \t; ext-1.x_y=1:2 ;\tid=b ; "}), "b");
  EXPECT_EQ(id({"v=STSv1; id=" + std::string(32, 'z')}), std::string(32, 'z'));
  EXPECT_EQ(id({"v=STSv1; id=1; id=2"}), "1") << "the first counts";
}

TEST(StsRecord, stands_among_others_but_not_among_its_like) {
  EXPECT_EQ(id({"v=spf1 -all", "v=STSv1; id=1;", "v=STSv10; id=2;"}), "1");
  EXPECT_EQ(id({"v=STSv1; id=1;", "v=STSv1; id=1;"}), std::nullopt);
  EXPECT_EQ(id({"v=STSv1; id=1;", "v=STSv1;"}), std::nullopt);
  EXPECT_EQ(id({}), std::nullopt);
}

TEST(StsRecord, is_none_where_it_is_malformed) {
  for (const char* text :
       {"", "v=STSv1", "v=STSv1;", "v=STSv1; id=", "v=STSv1; id=a-b", "v=STSv1; id=\xC3\xBC",
        "v=stsv1; id=1", " v=STSv1; id=1", "v=STSv1; ID=1", "v=STSv1; id=1;; a=b",
        "v=STSv1; id=1; noise", "v=STSv1; id=1; a=", "v=STSv1; id=1; =b", "v=STSv1; id=1; _a=b",
        "v=STSv1; id=1; a=b c", "v=STSv1; id=123456789012345678901234567890123", "v=STSv1, id=1"})
    EXPECT_EQ(id({text}), std::nullopt) << text;
}

TEST(StsRecord, is_no_other_id_where_it_is_cut) {
  const std::string whole = "v=STSv1; id=20160831; a=b;";
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto found = id({whole.substr(0, size)});
    if (!found) continue;
    EXPECT_EQ(*found, std::string("20160831").substr(0, found->size())) << size;
  }
}

}  // namespace
}  // namespace sluice::engine::sts
