#include "engine/intake/users.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "tests/unit/engine/intake/scratch_folder.h"

namespace sluice::engine::intake {
namespace {

using testing::ElementsAre;

// Of "secret", with little work where a method allows that.
constexpr std::string_view yescrypt =
    "$y$j9T$v2Wf237js30sw0mzhqSs9/$DjiPpjr3JWd7k3PTV.0xm2A9hC06fxzlALNGqjnayO/";
constexpr std::string_view bcrypt = "$2b$05$Ei7pz8dzkj8agDeFJzfT7.SGW5KSTsIhYMrfrJK11kMO1SmLwKSHO";
constexpr std::string_view sha512 =
    "$6$G1pNF.SPX4zuH/Gp$1PaDIdWhDqebXzKAoNoRe7mZC/gvyZDvU4NnVRYOctyR65803bS0VqDyVS/"
    "dZ.37FrkVPugi9cQtS9W6pn2Oa1";
constexpr std::string_view sha256 =
    "$5$IH9flCcMIeb58s4D$icAai9DqCGHzg3bgVBjGfbJWFkK6iBTgPQndiuQfmlA";

std::vector<std::string> mistakes(std::string_view text) {
  std::vector<std::string> texts;
  const auto users = Users::parse(text);
  if (!users)
    for (const UsersError& error : users.error())
      texts.push_back(fmt::format("{}: {}", error.line, error.message));
  return texts;
}

class UsersFile : public ScratchFolder {};

TEST(Users, know_their_passwords_whatever_the_hash) {
  const auto users = Users::parse(fmt::format(
      "# who may\n\nyes:{}\r\nb@s.example:{}\nsix:{}\nfive:{}", yescrypt, bcrypt, sha512, sha256));
  ASSERT_TRUE(users.has_value());
  EXPECT_EQ(users->size(), 4u);
  for (const std::string_view user : {"yes", "b@s.example", "six", "five"}) {
    EXPECT_TRUE(users->check(user, "secret")) << user;
    EXPECT_FALSE(users->check(user, "Secret")) << user;
    EXPECT_FALSE(users->check(user, "")) << user;
    EXPECT_FALSE(users->check(user, std::string_view("secret\0x", 8))) << user;
  }
}

TEST(Users, do_not_know_strangers_even_with_the_right_password) {
  const auto users = Users::parse(fmt::format("b:{}\n", bcrypt));
  ASSERT_TRUE(users.has_value());
  EXPECT_FALSE(users->check("c", "secret"));
  EXPECT_FALSE(users->check("", "secret"));
  EXPECT_FALSE(users->check("B", "secret"));
}

TEST(Users, tell_all_mistakes_of_their_file_and_no_hash) {
  constexpr std::string_view weak =
      "has a password or a weak hash; make one with: mkpasswd -m yescrypt";
  EXPECT_THAT(
      mistakes(fmt::format("joe\n"
                           ":{0}\n"
                           "a:{0}\n"
                           "a:{0}\n"
                           "b:secret\n"
                           "c:$1$abc$qcmVZYSbEZv3vlKqvmcLr0\n"
                           "d:*\n"
                           "e:\n"
                           "f:$6$salt\n"
                           "g:{0}:1000\n"
                           "h\ti:{0}\n",
                           bcrypt)),
      ElementsAre("1: is not user:hash", "2: has no user before the colon", "4: names a user again",
                  fmt::format("5: {}", weak), fmt::format("6: {}", weak),
                  "7: has no hash of crypt(3); make one with: mkpasswd -m yescrypt",
                  "8: has no hash of crypt(3); make one with: mkpasswd -m yescrypt",
                  "9: has a hash that is cut off", "10: has a third field; write user:hash",
                  "11: has a control character in its user"));
  EXPECT_THAT(mistakes("# nobody\n"), ElementsAre("0: holds no user: nobody could authenticate"));
}

TEST_F(UsersFile, is_refused_when_others_may_read_it) {
  const std::string file = write("users", fmt::format("b:{}\n", bcrypt));
  for (const mode_t mode : {0644u, 0602u, 0601u}) {
    ASSERT_EQ(chmod(file.c_str(), mode), 0);
    const auto users = Users::load(file);
    ASSERT_FALSE(users.has_value());
    EXPECT_EQ(users.error()[0].message,
              fmt::format("is open to others (mode {:o}); chmod o= makes it private", mode));
  }
  ASSERT_EQ(chmod(file.c_str(), 0640), 0);
  EXPECT_TRUE(Users::load(file).has_value());
}

TEST_F(UsersFile, is_a_file_and_there) {
  EXPECT_EQ(Users::load(folder_).error()[0].message, "is not a file");
  EXPECT_EQ(Users::load(path("none")).error()[0].message,
            "cannot be read: No such file or directory");
}

}  // namespace
}  // namespace sluice::engine::intake
