#include "engine/dkim/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/curve25519.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/dkim/dns_record.h"
#include "engine/mail/base64.h"

namespace sluice::engine::dkim {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// RFC 8463 appendix A.2: the key, and the record that appendix A.2 publishes.
constexpr std::string_view rfc_ed25519 =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
    "-----END PRIVATE KEY-----\n";
constexpr std::string_view rfc_ed25519_open = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

std::string error_of(std::string_view pem) {
  const auto key = Key::parse(pem);
  return key ? "" : key.error();
}

TEST(Key, of_ed25519_is_that_of_its_rfc) {
  const auto key = Key::parse(rfc_ed25519);
  ASSERT_TRUE(key) << key.error();
  EXPECT_EQ((*key)->algorithm(), Algorithm::ed25519_sha256);
  EXPECT_EQ((*key)->public_octets(), mail::decode_base64(rfc_ed25519_open));
  EXPECT_EQ(record_text(**key), "v=DKIM1; k=ed25519; p=" + std::string(rfc_ed25519_open));
  const Digest digest{4, 2};
  std::array<char, 64> signature;
  ASSERT_EQ((*key)->signature_bytes(), signature.size());
  (*key)->sign(digest, signature.data());
  EXPECT_EQ(ED25519_verify(digest.data(), digest.size(),
                           reinterpret_cast<const uint8_t*>(signature.data()),
                           reinterpret_cast<const uint8_t*>((*key)->public_octets().data())),
            1);
}

TEST(Key, comes_back_from_the_file_it_was_written_to) {
  for (const Algorithm algorithm : {Algorithm::rsa_sha256, Algorithm::ed25519_sha256}) {
    const KeyPtr key = Key::generate(algorithm, 1024);
    EXPECT_THAT(key->pem(), StartsWith("-----BEGIN PRIVATE KEY-----\n"));
    const auto again = Key::parse(key->pem());
    ASSERT_TRUE(again) << again.error();
    EXPECT_EQ((*again)->public_octets(), key->public_octets());
    EXPECT_EQ((*again)->algorithm(), algorithm);
    EXPECT_EQ((*again)->bits(), algorithm == Algorithm::rsa_sha256 ? 1024u : 256u);
  }
}

TEST(Key, is_refused_with_a_reason) {
  EXPECT_THAT(error_of(""), HasSubstr("no private key"));
  EXPECT_THAT(error_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
              HasSubstr("no private key"));
  EXPECT_THAT(error_of("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE "
                       "KEY-----\n"),
              HasSubstr("under a password"));
}

/// A folder that is gone afterwards.
struct Folder {
  Folder() {
    char name[] = "/tmp/sluice-key-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(Key, is_read_from_a_file_that_only_its_owner_may_look_into) {
  const Folder folder;
  const std::string path = folder.path + "/k.pem";
  std::ofstream(path) << rfc_ed25519;
  for (const mode_t mode : {0644, 0640, 0604, 0610, 0602}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    const auto key = Key::load(path);
    ASSERT_FALSE(key) << mode;
    EXPECT_THAT(key.error(), HasSubstr("is open to others"));
  }
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  EXPECT_TRUE(Key::load(path));
  ASSERT_EQ(chmod(path.c_str(), 0400), 0);
  EXPECT_TRUE(Key::load(path));
  EXPECT_THAT(Key::load(folder.path + "/none").error(), HasSubstr("No such file"));
  EXPECT_THAT(Key::load(folder.path).error(), HasSubstr("cannot be read"));
}

TEST(DnsRecord, is_cut_into_strings_that_a_zone_file_takes) {
  EXPECT_EQ(zone_text("s1._domainkey.a.example", "v=DKIM1; p=x"),
            "s1._domainkey.a.example. IN TXT ( \"v=DKIM1; p=x\" )\n");
  EXPECT_EQ(zone_text("n", std::string(256, 'a')),
            "n. IN TXT ( \"" + std::string(255, 'a') + "\" \"a\" )\n");
  EXPECT_EQ(record_name("s1", "news.example"), "s1._domainkey.news.example");
}

TEST(DnsRecord, that_does_not_fit_the_key_is_told_why) {
  const KeyPtr key = *Key::parse(rfc_ed25519), rsa = Key::generate(Algorithm::rsa_sha256, 1024);
  const std::string good = record_text(*key);
  EXPECT_EQ(mismatch(good, *key), "");
  EXPECT_EQ(mismatch(record_text(*rsa), *rsa), "");
  EXPECT_EQ(
      mismatch("v = DKIM1 ;k=ed25519; h=sha1: sha256; s=email; p=11qYAYKxCrfVS/7TyWQHOg7hcvPa "
               "piMlrwIaaPcHURo=;",
               *key),
      "");
  EXPECT_THAT(mismatch(record_text(*rsa), *key), HasSubstr("k=rsa"));
  EXPECT_THAT(mismatch(good, *rsa), HasSubstr("k=ed25519"));
  EXPECT_THAT(mismatch("v=DKIM1; k=ed25519; p=", *key), HasSubstr("revoked"));
  EXPECT_THAT(mismatch("v=DKIM1; k=ed25519", *key), HasSubstr("no tag p="));
  EXPECT_THAT(mismatch("v=DKIM2; k=ed25519; p=x", *key), HasSubstr("v=DKIM1"));
  EXPECT_THAT(mismatch("k=ed25519; v=DKIM1; p=x", *key), HasSubstr("v=DKIM1"));
  EXPECT_THAT(mismatch("v=DKIM1; h=sha1; k=ed25519; p=x", *key), HasSubstr("sha256"));
  EXPECT_THAT(mismatch("v=DKIM1; s=other; k=ed25519; p=x", *key), HasSubstr("not for mail"));
  EXPECT_THAT(mismatch("v=DKIM1; k=ed25519; p=AAAA", *key), HasSubstr("another key"));
}

}  // namespace
}  // namespace sluice::engine::dkim
