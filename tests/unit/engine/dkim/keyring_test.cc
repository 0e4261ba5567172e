#include "engine/dkim/keyring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/dkim/signature.h"

namespace sluice::engine::dkim {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr io::WallTime noon{1'780'000'000s};

Signer signer(std::string domain, std::string selector) {
  static const KeyPtr key = Key::generate(Algorithm::ed25519_sha256, 0);
  return {.domain = std::move(domain), .selector = std::move(selector), .key = key};
}

std::string selectors(std::span<const Signer> signers) {
  std::string out;
  for (const Signer& s : signers) out += s.selector + " ";
  return out;
}

TEST(Keyring, has_for_a_domain_its_keys_or_those_of_the_closest_above_it) {
  const Keyring keys(std::vector{signer("news.example", "a"), signer("news.example", "b"),
                                 signer("eu.news.example", "c")});
  EXPECT_EQ(selectors(keys.of("news.example")), "a b ");
  EXPECT_EQ(selectors(keys.of("mail.news.example")), "a b ");
  EXPECT_EQ(selectors(keys.of("eu.news.example")), "c ");
  EXPECT_EQ(selectors(keys.of("x.y.eu.news.example")), "c ");
  EXPECT_EQ(selectors(keys.of("example")), "");
  EXPECT_EQ(selectors(keys.of("badnews.example")), "");
  EXPECT_EQ(selectors(keys.of("")), "");
  EXPECT_GT(keys.bytes_max(), 2 * 400u);
  EXPECT_EQ(Keyring({}).bytes_max(), 0u);
}

TEST(Keyring, signs_from_its_start_until_before_its_end) {
  Signer s = signer("a.example", "s");
  EXPECT_TRUE(s.signs_at(noon));
  s.start = noon;
  s.end = noon + 1s;
  EXPECT_FALSE(s.signs_at(noon - 1ns));
  EXPECT_TRUE(s.signs_at(noon));
  EXPECT_FALSE(s.signs_at(noon + 1s));
}

TEST(AuthorDomain, is_that_of_the_first_address) {
  EXPECT_EQ(author_domain("News <news@News.Example>"), "news.example");
  EXPECT_EQ(author_domain("a@a.example, b@b.example"), "a.example");
  EXPECT_EQ(author_domain("\"x@evil.example\" (y@z.example) <\"odd@local\"@a.example>"),
            "a.example");
  EXPECT_EQ(author_domain("J <j@m\xc3\xbcller.example>"), "xn--mller-kva.example");
  EXPECT_EQ(author_domain("nobody"), "");
  EXPECT_EQ(author_domain(""), "");
  EXPECT_EQ(author_domain("<broken"), "");
}

std::string signature_of(const Signer& s) {
  SignedHeader header;
  header.update(
      "From: a@a.example\r\nTo: b\r\nSubject: s\r\nDate: d\r\nMessage-ID: m\r\nMIME-Version: "
      "1.0\r\nContent-Type: text/plain\r\n");
  header.finish();
  std::string out = "before\r\n";
  append_signature(out, s, header, Digest{}, noon);
  return out;
}

TEST(Signature, says_what_it_covers_and_for_how_long) {
  Signer s = signer("a.example", "sel");
  EXPECT_THAT(signature_of(s),
              testing::MatchesRegex("before\r\nDKIM-Signature: v=1; a=ed25519-sha256; "
                                    "c=relaxed/relaxed;\r\n\td=a.example; s=sel;\r\n\tt=1780000000;"
                                    "\r\n\th=From:From:To:.*;\r\n\tbh=A+=;\r\n\tb=.*==\r\n"));
  s.lifetime = 1h;
  EXPECT_THAT(signature_of(s), HasSubstr("t=1780000000; x=1780003600;\r\n"));
}

TEST(Signature, is_about_as_long_as_was_said_and_of_short_lines) {
  for (const Algorithm algorithm : {Algorithm::rsa_sha256, Algorithm::ed25519_sha256}) {
    Signer s = signer("a.example", "sel");
    s.key = Key::generate(algorithm, 2048);
    const std::string text = signature_of(s).substr(8);
    EXPECT_NEAR(static_cast<double>(text.size()), static_cast<double>(signature_bytes_about(s)),
                60);
    for (size_t at = 0, end; (end = text.find("\r\n", at)) != text.npos; at = end + 2)
      EXPECT_LE(end - at, 78u);
  }
}

}  // namespace
}  // namespace sluice::engine::dkim
