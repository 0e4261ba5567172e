#include "engine/tls/context.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/engine/tls/certificate_files.h"

namespace sluice::engine::tls {
namespace {

TEST(TlsContext, is_made_of_a_certificate_and_its_key) {
  const CertificateFiles ecdsa, rsa(true);
  EXPECT_TRUE(Context::server({ecdsa.certificate(), ecdsa.key(), ""}));
  EXPECT_TRUE(Context::server({rsa.certificate(), rsa.key(), ""}));
}

TEST(TlsContext, says_which_file_is_wrong) {
  const CertificateFiles own, other, rsa(true);
  const auto refusal = [](const std::string& certificate, const std::string& key) {
    const auto made = Context::server({certificate, key, ""});
    EXPECT_FALSE(made);
    return (made.error().file == ContextError::File::key ? "key " : "certificate ") +
           made.error().message;
  };
  const std::string missing = own.folder() / "missing", empty = own.folder() / "empty";
  std::ofstream(empty).close();
  EXPECT_EQ(refusal(missing, own.key()), "certificate cannot be read: No such file or directory");
  EXPECT_EQ(refusal(own.certificate(), missing), "key cannot be read: No such file or directory");
  EXPECT_EQ(refusal(empty, own.key()), "certificate holds no certificate in PEM");
  EXPECT_EQ(refusal(own.key(), own.key()), "certificate holds no certificate in PEM");
  EXPECT_EQ(refusal(own.certificate(), empty), "key holds no key in PEM, or one that is encrypted");
  EXPECT_EQ(refusal(own.certificate(), other.key()), "key is not the certificate's key");
  EXPECT_EQ(refusal(own.certificate(), rsa.key()), "key is not the certificate's key");
}

}  // namespace
}  // namespace sluice::engine::tls
