// Which TLSA records are asked for, and what comes of each answer: RFC 7672 sections 2.1.3
// and 2.2.2.
#include "engine/dns/tlsa_search.h"

#include <gtest/gtest.h>

namespace sluice::engine::dns {
namespace {

using Status = RecordSet::Status;

RecordSet addresses(bool is_secure, std::string canonical = {}) {
  return {.status = Status::found, .is_secure = is_secure, .canonical = std::move(canonical)};
}
const RecordSet nothing{.status = Status::no_data, .is_secure = true};
const RecordSet failed{.status = Status::failed, .reason = "SERVFAIL from 127.0.0.1:53"};

RecordSet tlsa(bool is_secure) {
  return {.status = Status::found, .is_secure = is_secure, .tlsa = {{3, 1, 1, "digest"}}};
}

/// What it asks next: "TLSA _25._tcp.mx.test"; "" when it is over.
std::string next(const TlsaSearch& search) {
  const auto question = search.next();
  return question ? std::string(name(question->type)) + " " + question->name : "";
}

TEST(TlsaSearch, asks_about_a_host_with_secure_addresses) {
  TlsaSearch search("mx.test", 587, nothing, addresses(true));
  ASSERT_EQ(next(search), "TLSA _587._tcp.mx.test");
  search.take(tlsa(true));
  EXPECT_EQ(next(search), "");
  EXPECT_EQ(search.base_domain(), "mx.test");
  EXPECT_EQ(search.records().size(), 1u);
  EXPECT_EQ(search.failure(), "");
}

TEST(TlsaSearch, asks_nothing_about_a_host_whose_addresses_are_not_secure) {
  EXPECT_EQ(next(TlsaSearch("mx.test", 25, nothing, addresses(false))), "");
  EXPECT_EQ(next(TlsaSearch("mx.test", 25, addresses(true), addresses(false))), "");
  EXPECT_EQ(next(TlsaSearch("mx.test", 25, nothing, nothing)), "");
  EXPECT_EQ(next(TlsaSearch("mx.test", 25, nothing, failed)), "");
  // The one that is known counts: it is what will be connected to.
  EXPECT_EQ(next(TlsaSearch("mx.test", 25, failed, addresses(true))), "TLSA _25._tcp.mx.test");
}

TEST(TlsaSearch, finds_none_where_there_is_none_or_nobody_vouches_for_it) {
  for (const RecordSet& answer : {nothing, RecordSet{.status = Status::no_name}, tlsa(false)}) {
    TlsaSearch search("mx.test", 25, nothing, addresses(true));
    search.take(answer);
    EXPECT_EQ(next(search), "");
    EXPECT_EQ(search.base_domain(), "");
    EXPECT_EQ(search.failure(), "");
  }
}

TEST(TlsaSearch, fails_where_it_cannot_be_told) {
  TlsaSearch search("mx.test", 25, nothing, addresses(true));
  search.take(failed);
  EXPECT_EQ(next(search), "");
  EXPECT_EQ(search.failure(), "TLSA _25._tcp.mx.test: SERVFAIL from 127.0.0.1:53");
}

TEST(TlsaSearch, asks_about_where_a_secure_alias_leads_then_about_the_alias) {
  const RecordSet aliased = addresses(true, "host.test");
  TlsaSearch first("mx.test", 25, nothing, aliased);
  ASSERT_EQ(next(first), "TLSA _25._tcp.host.test");
  first.take(tlsa(true));
  EXPECT_EQ(first.base_domain(), "host.test");
  EXPECT_EQ(next(first), "");

  TlsaSearch second("mx.test", 25, nothing, aliased);
  second.take(nothing);
  ASSERT_EQ(next(second), "TLSA _25._tcp.mx.test");
  second.take(tlsa(true));
  EXPECT_EQ(second.base_domain(), "mx.test");

  TlsaSearch lost("mx.test", 25, nothing, aliased);
  lost.take(failed);
  EXPECT_EQ(next(lost), "");
  EXPECT_EQ(lost.failure(), "TLSA _25._tcp.host.test: SERVFAIL from 127.0.0.1:53");
}

TEST(TlsaSearch, asks_whether_an_alias_that_leads_out_of_security_is_secure_itself) {
  const RecordSet aliased = addresses(false, "host.elsewhere.test");
  TlsaSearch secure("mx.test", 25, nothing, aliased);
  ASSERT_EQ(next(secure), "CNAME mx.test");
  secure.take({.status = Status::found, .is_secure = true, .canonical = "host.elsewhere.test"});
  ASSERT_EQ(next(secure), "TLSA _25._tcp.mx.test");

  TlsaSearch insecure("mx.test", 25, nothing, aliased);
  insecure.take({.status = Status::found, .is_secure = false});
  EXPECT_EQ(next(insecure), "");
  EXPECT_EQ(insecure.failure(), "");

  TlsaSearch lost("mx.test", 25, nothing, aliased);
  lost.take(failed);
  EXPECT_EQ(lost.failure(), "CNAME mx.test: SERVFAIL from 127.0.0.1:53");
}

TEST(TlsaSearch, is_good_for_as_long_as_all_that_it_was_told) {
  TlsaSearch search("mx.test", 25, nothing, addresses(true, "host.test"));
  RecordSet first = nothing, second = tlsa(true);
  first.good_until = io::Instant(std::chrono::seconds(5));
  second.good_until = io::Instant(std::chrono::seconds(9));
  search.take(first);
  search.take(second);
  EXPECT_EQ(search.good_until(), first.good_until);
}

TEST(TlsaSearch, asks_for_no_name_that_is_too_long_to_be_one) {
  std::string name = std::string(60, 'a');
  for (int i = 0; i < 3; ++i) name += "." + std::string(60, 'a');
  EXPECT_EQ(next(TlsaSearch(name, 25, nothing, addresses(true))).size(), 5 + 9 + name.size());
  name.insert(0, "aa.");
  EXPECT_EQ(next(TlsaSearch(name, 25, nothing, addresses(true))), "");
}

}  // namespace
}  // namespace sluice::engine::dns
