// What TLSA records make of a chain of certificates: the table of RFC 7671 and RFC 7672.
#include "engine/tls/dane.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "io/check.h"

namespace sluice::engine::tls {
namespace {

constexpr std::array<uint8_t, 2> selectors{0, 1};
constexpr std::array<uint8_t, 3> matchings{0, 1, 2};
constexpr int no_match = X509_V_ERR_CERT_UNTRUSTED;

/// A certificate and its key.
struct Made {
  bssl::UniquePtr<X509> certificate{X509_new()};
  bssl::UniquePtr<EVP_PKEY> key{EVP_PKEY_new()};
};

struct Wish {
  const Made* issuer = nullptr;  // null: itself
  const char* name = "";         // in the subjectAltName; "": it is an authority
  bool is_expired = false;
  const char* subject = "test";
};

void extend(X509* x509, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  const bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(value)));
  CHECK(extension && X509_add_ext(x509, extension.get(), -1));
}

Made make(const Wish& wish) {
  static int64_t serial = 0;
  Made made;
  const bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  CHECK(EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(made.key.get(), ec.get()));
  X509* const x509 = made.certificate.get();
  const Made& issuer = wish.issuer ? *wish.issuer : made;
  CHECK(X509_set_version(x509, X509_VERSION_3) &&
        ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial));
  CHECK(X509_gmtime_adj(X509_getm_notBefore(x509), -7200) &&
        X509_gmtime_adj(X509_getm_notAfter(x509), wish.is_expired ? -3600 : 3600));
  const auto* subject = reinterpret_cast<const uint8_t*>(wish.subject);
  CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, subject, -1, -1,
                                   0));
  CHECK(X509_set_issuer_name(x509, X509_get_subject_name(issuer.certificate.get())) &&
        X509_set_pubkey(x509, made.key.get()));
  if (*wish.name == '\0')
    extend(x509, NID_basic_constraints, "critical,CA:TRUE");
  else
    extend(x509, NID_subject_alt_name, ("DNS:" + std::string(wish.name)).c_str());
  CHECK(X509_sign(x509, issuer.key.get(), EVP_sha256()) > 0);
  return made;
}

TlsaRecord record(uint8_t usage, uint8_t selector, uint8_t matching, const Made& of) {
  uint8_t* der = nullptr;
  const int size = selector == TlsaRecord::selector_key
                       ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(of.certificate.get()), &der)
                       : i2d_X509(of.certificate.get(), &der);
  CHECK(size > 0);
  std::string data(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  const auto* octets = reinterpret_cast<const uint8_t*>(data.data());
  uint8_t digest[SHA512_DIGEST_LENGTH];
  if (matching == TlsaRecord::matching_sha256)
    data = {reinterpret_cast<char*>(SHA256(octets, data.size(), digest)), SHA256_DIGEST_LENGTH};
  if (matching == TlsaRecord::matching_sha512)
    data = {reinterpret_cast<char*>(SHA512(octets, data.size(), digest)), SHA512_DIGEST_LENGTH};
  return {usage, selector, matching, data};
}

DanePolicy policy(std::vector<TlsaRecord> records) {
  std::ranges::sort(records);
  return {.base_domain = "mx.net.example",
          .other_names = {"net.example", ""},
          .port = 25,
          .records = std::move(records)};
}

int judged(const DanePolicy& policy, const std::vector<const Made*>& sent) {
  const bssl::UniquePtr<STACK_OF(X509)> chain(sk_X509_new_null());
  for (const Made* made : sent)
    CHECK(bssl::PushToStack(chain.get(), bssl::UpRef(made->certificate)));
  return judge(policy, chain.get());
}

TEST(Dane, takes_a_leaf_that_a_record_of_usage_3_names_whatever_its_name_and_dates) {
  const Made leaf = make({.name = "elsewhere.example", .is_expired = true}), other = make({});
  for (const uint8_t selector : selectors)
    for (const uint8_t matching : matchings) {
      SCOPED_TRACE(testing::Message() << int{selector} << " " << int{matching});
      EXPECT_EQ(judged(policy({record(3, selector, matching, leaf)}), {&leaf}), X509_V_OK);
      EXPECT_EQ(judged(policy({record(3, selector, matching, other)}), {&leaf}), no_match);
      EXPECT_EQ(judged(policy({record(3, selector, matching, other)}), {&leaf, &other}), no_match)
          << "the leaf alone counts";
    }
}

TEST(Dane, takes_a_path_to_what_a_record_of_usage_2_names) {
  const Made root = make({.subject = "root"}), stranger = make({.subject = "root"});
  const Made middle = make({.issuer = &root, .subject = "middle"});
  const Made leaf = make({.issuer = &middle, .name = "mx.net.example"});
  for (const uint8_t selector : selectors)
    for (const uint8_t matching : matchings) {
      SCOPED_TRACE(testing::Message() << int{selector} << " " << int{matching});
      const DanePolicy by_root = policy({record(2, selector, matching, root)});
      EXPECT_EQ(judged(by_root, {&leaf, &middle, &root}), X509_V_OK);
      // Who is named in full need not be sent; a digest tells nothing of who is not.
      EXPECT_EQ(judged(by_root, {&leaf, &middle}), matching == 0 ? X509_V_OK : no_match);
      const DanePolicy by_middle = policy({record(2, selector, matching, middle)});
      EXPECT_EQ(judged(by_middle, {&leaf, &middle}), X509_V_OK);
      EXPECT_EQ(judged(by_middle, {&leaf, &middle, &root}), X509_V_OK);
      const DanePolicy by_stranger = policy({record(2, selector, matching, stranger)});
      EXPECT_NE(judged(by_stranger, {&leaf, &middle, &root}), X509_V_OK);
      EXPECT_NE(judged(by_stranger, {&leaf, &middle, &stranger}), X509_V_OK)
          << "it is sent, but has signed nothing";
    }
}

TEST(Dane, wants_of_usage_2_a_name_and_dates) {
  const Made root = make({.subject = "root"});
  const auto verdict = [&](const Wish& wish) {
    const Made leaf = make(wish);
    return judged(policy({record(2, 0, 1, root)}), {&leaf, &root});
  };
  EXPECT_EQ(verdict({.issuer = &root, .name = "mx.net.example"}), X509_V_OK);
  EXPECT_EQ(verdict({.issuer = &root, .name = "net.example"}), X509_V_OK) << "the next-hop domain";
  EXPECT_EQ(verdict({.issuer = &root, .name = "*.net.example"}), X509_V_OK);
  EXPECT_EQ(verdict({.issuer = &root, .name = "other.example"}), X509_V_ERR_HOSTNAME_MISMATCH);
  EXPECT_EQ(verdict({.issuer = &root, .name = "other.example", .subject = "mx.net.example"}),
            X509_V_ERR_HOSTNAME_MISMATCH)
      << "the common name does not count beside others (RFC 7672 section 3.2.3)";
  EXPECT_EQ(verdict({.issuer = &root, .name = "mx.net.example", .is_expired = true}),
            X509_V_ERR_CERT_HAS_EXPIRED);
}

TEST(Dane, is_content_with_any_record_that_matches) {
  const Made leaf = make({.name = "a.example"}), next = make({.name = "b.example"}),
             root = make({});
  const DanePolicy rollover = policy({record(3, 1, 1, leaf), record(3, 1, 1, next)});
  EXPECT_EQ(judged(rollover, {&leaf}), X509_V_OK);
  EXPECT_EQ(judged(rollover, {&next}), X509_V_OK);
  const DanePolicy both = policy({record(2, 0, 1, root), record(3, 1, 1, leaf)});
  EXPECT_EQ(judged(both, {&leaf}), X509_V_OK);
  EXPECT_EQ(judged(both, {&next}), no_match);
  EXPECT_EQ(judged(both, {}), no_match);
}

TEST(Dane, goes_by_the_strongest_digest_of_a_thing) {
  const Made leaf = make({.name = "a.example"}), other = make({});
  EXPECT_EQ(judged(policy({record(3, 1, 1, leaf), record(3, 1, 2, other)}), {&leaf}), no_match);
  EXPECT_EQ(judged(policy({record(3, 1, 1, other), record(3, 1, 2, leaf)}), {&leaf}), X509_V_OK);
  // Of another thing.
  EXPECT_EQ(judged(policy({record(3, 1, 1, leaf), record(3, 0, 2, other)}), {&leaf}), X509_V_OK);
  EXPECT_EQ(judged(policy({record(3, 1, 1, leaf), record(2, 1, 2, other)}), {&leaf}), X509_V_OK);
  // A digest that is none outdoes nothing.
  EXPECT_EQ(judged(policy({record(3, 1, 1, leaf), {3, 1, 2, "short"}}), {&leaf}), X509_V_OK);
}

TEST(TlsaRecord, is_usable_in_the_forms_that_smtp_knows) {
  const Made leaf = make({.name = "a.example"});
  for (unsigned usage = 0; usage < 5; ++usage)
    for (unsigned selector = 0; selector < 3; ++selector)
      for (unsigned matching = 0; matching < 4; ++matching) {
        TlsaRecord made =
            record(3, selector == 1, static_cast<uint8_t>(std::min(matching, 2u)), leaf);
        made.usage = static_cast<uint8_t>(usage);
        made.selector = static_cast<uint8_t>(selector);
        made.matching = static_cast<uint8_t>(matching);
        const bool is_known = (usage == 2 || usage == 3) && selector < 2 && matching < 3;
        EXPECT_EQ(made.is_usable(), is_known) << usage << selector << matching;
        made.data.pop_back();
        EXPECT_FALSE(made.is_usable()) << "cut: " << usage << selector << matching;
      }
}

}  // namespace
}  // namespace sluice::engine::tls
