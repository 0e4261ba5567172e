#include "engine/smtp/scram.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::engine::smtp {
namespace {

// RFC 7677 section 3.
constexpr std::string_view server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

TEST(Scram, speaks_as_in_the_example_of_rfc_7677) {
  Scram scram("user", "rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(scram.client_first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  const auto final_message = scram.client_final(server_first, "pencil");
  ASSERT_TRUE(final_message);
  EXPECT_EQ(*final_message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_TRUE(scram.is_proved_by("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  EXPECT_FALSE(scram.is_proved_by("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  EXPECT_FALSE(scram.is_proved_by("v="));
  EXPECT_FALSE(scram.is_proved_by("e=invalid-proof"));
}

TEST(Scram, takes_no_signature_before_there_was_a_challenge) {
  const Scram scram("user", "nonce");
  EXPECT_FALSE(scram.is_proved_by("v="));
}

TEST(Scram, escapes_a_name_with_a_comma_or_an_equals_sign) {
  EXPECT_EQ(Scram("a=b,c", "n").client_first(), "n,,n=a=3Db=2Cc,r=n");
}

TEST(Scram, does_not_answer_what_is_no_challenge_of_its_exchange) {
  const auto refused = [](std::string_view challenge) {
    return !Scram("user", "abc").client_final(challenge, "pencil");
  };
  EXPECT_FALSE(refused("r=abcd,s=AAAA,i=4096"));
  EXPECT_FALSE(refused("r=abcd,s=AAAA,i=4096,x=later")) << "extensions that are not mandatory";
  for (const std::string_view challenge :
       {"", "r=", "r=abcd", "r=abcd,s=AAAA", "r=abc,s=AAAA,i=4096", "r=xabc,s=AAAA,i=4096",
        "m=more,r=abcd,s=AAAA,i=4096", "s=AAAA,r=abcd,i=4096",
        "r=abcd,s=AAAA,i=", "r=abcd,s=AAAA,i=4096x", "r=abcd,s=AAAA,i=-4096",
        "r=abcd,s=AAAA,i=4095", "r=abcd,s=AAAA,i=100001", "r=abcd,s=AAAA,i=99999999999999999999"})
    EXPECT_TRUE(refused(challenge)) << challenge;
  EXPECT_TRUE(refused("r=abc" + std::string(Scram::nonce_bytes_max, 'x') + ",s=AAAA,i=4096"));
}

}  // namespace
}  // namespace sluice::engine::smtp
