#include "engine/http/token.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sluice::engine::http {
namespace {

using testing::HasSubstr;

constexpr std::string_view secret = "0123456789abcdef";

class TokenFile : public testing::Test {
 protected:
  ~TokenFile() override { std::filesystem::remove(path_); }

  std::expected<Token, std::string> load(std::string_view text, mode_t mode = 0640) const {
    std::ofstream(path_, std::ios::binary) << text;
    chmod(path_.c_str(), mode);
    return Token::load(path_);
  }

  const std::string path_ = testing::TempDir() + "sluice_token_" + std::to_string(getpid());
};

TEST(Token, is_in_its_bearer_alone) {
  const Token token(secret);
  EXPECT_TRUE(token.is_in("Bearer 0123456789abcdef"));
  EXPECT_TRUE(token.is_in("bearer 0123456789abcdef"));
  for (const std::string_view other :
       {"", "Bearer", "Bearer ", "0123456789abcdef", "Basic 0123456789abcdef",
        "Bearer 0123456789abcdeF", "Bearer 0123456789abcde", "Bearer 0123456789abcdef0",
        "Bearer  0123456789abcdef"})
    EXPECT_FALSE(token.is_in(other)) << other;
}

TEST_F(TokenFile, holds_it_in_its_first_line) {
  for (const std::string end : {"", "\n", "\r\n", "\n# a comment\n"}) {
    const auto token = load(std::string(secret) + end);
    ASSERT_TRUE(token) << token.error();
    EXPECT_TRUE(token->is_in("Bearer 0123456789abcdef"));
  }
}

TEST_F(TokenFile, is_refused_when_others_may_use_it) {
  for (const mode_t mode : {0644, 0602, 0601})
    EXPECT_THAT(load(secret, mode).error(), HasSubstr("others may use this file"));
  EXPECT_TRUE(load(secret, 0600));
}

TEST_F(TokenFile, is_refused_when_it_holds_no_token) {
  EXPECT_THAT(load("").error(), HasSubstr("16 to 4096 octets"));
  EXPECT_THAT(load("\n0123456789abcdef").error(), HasSubstr("16 to 4096 octets"));
  EXPECT_THAT(load(std::string(5000, 'x')).error(), HasSubstr("16 to 4096 octets"));
  EXPECT_THAT(load("0123456789 abcdef").error(), HasSubstr("without blanks"));
  EXPECT_THAT(Token::load("/nonexistent").error(), HasSubstr("No such file"));
}

}  // namespace
}  // namespace sluice::engine::http
