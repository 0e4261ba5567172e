#include "engine/tlsrpt/record.h"

#include <gmock/gmock.h>

#include "engine/tlsrpt/endpoint.h"

namespace sluice::engine::tlsrpt {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> uris(std::vector<std::string> records) { return report_uris(records); }

TEST(TlsReportRecord, tells_where_reports_go) {
  EXPECT_THAT(uris({"v=TLSRPTv1;rua=mailto:reports@example.com"}),
              ElementsAre("mailto:reports@example.com"));
  EXPECT_THAT(uris({"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"}),
              ElementsAre("https://reporting.example.com/v1/tlsrpt"));
  EXPECT_THAT(uris({"v=TLSRPTv1 ;\tx-1.a_b=c:d ; rua=mailto:a@x.test , https://x.test/?a=b; "}),
              ElementsAre("mailto:a@x.test", "https://x.test/?a=b"));
  EXPECT_THAT(uris({"v=TLSRPTv1; rua=mailto:a@x.test; rua=mailto:b@x.test"}),
              ElementsAre("mailto:a@x.test"))
      << "the first counts";
}

TEST(TlsReportRecord, stands_among_others_but_not_among_its_like) {
  EXPECT_THAT(uris({"v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv10; rua=b:c"}),
              ElementsAre("mailto:a@x.test"));
  EXPECT_THAT(uris({"v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1; rua=mailto:a@x.test"}),
              IsEmpty());
  EXPECT_THAT(uris({"v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1;"}), IsEmpty());
  EXPECT_THAT(uris({}), IsEmpty());
}

TEST(TlsReportRecord, is_none_where_it_is_malformed) {
  for (const char* text :
       {"", "v=TLSRPTv1", "v=TLSRPTv1;", "v=TLSRPTv1; rua=", "v=TLSRPTv1; rua=nothing",
        "v=TLSRPTv1; rua=:a", "v=TLSRPTv1; rua=mailto:", "v=TLSRPTv1; rua=mailto:a@x.test,",
        "v=TLSRPTv1; rua=mailto:a b@x.test", "v=TLSRPTv1; rua=mailto:\xC3\xBC@x.test",
        "v=TLSRPTv1; rua=mailto:a@x.test!10m", "v=tlsrptv1; rua=mailto:a@x.test",
        " v=TLSRPTv1; rua=mailto:a@x.test", "v=TLSRPTv1; RUA=mailto:a@x.test",
        "v=TLSRPTv1; rua=mailto:a@x.test;; a=b", "v=TLSRPTv1; rua=mailto:a@x.test; noise",
        "v=TLSRPTv1; rua=mailto:a@x.test; _a=b", "v=TLSRPTv1, rua=mailto:a@x.test"})
    EXPECT_THAT(uris({text}), IsEmpty()) << text;
}

TEST(TlsReportEndpoint, is_an_address_or_a_place_on_a_server) {
  EXPECT_EQ(parse_endpoint("mailto:Reports@Example.COM")->address, "Reports@example.com");
  EXPECT_EQ(parse_endpoint("MAILTO:a%2Bb%5f@x.test?subject=x")->address, "a+b_@x.test");
  const auto plain = parse_endpoint("https://R.example.test/v1/t?a=b#c");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->kind, Endpoint::Kind::https);
  EXPECT_EQ(plain->host + " " + std::to_string(plain->port) + " " + plain->target,
            "r.example.test 443 /v1/t?a=b");
  EXPECT_EQ(parse_endpoint("https://x.test")->target, "/");
  EXPECT_EQ(parse_endpoint("https://x.test?a")->target, "/?a");
  EXPECT_EQ(parse_endpoint("https://x.test:8443/a")->port, 8443);
  EXPECT_EQ(parse_endpoint("https://[2001:db8::1]:8443/a")->host, "2001:db8::1");
}

TEST(TlsReportEndpoint, is_none_where_nobody_could_be_reached) {
  for (const char* text :
       {"", "mailto", "mailto:", "mailto:a", "mailto:a@b@c", "mailto:a@x.test,b@x.test",
        "mailto:a%0d%0aBcc:b@x.test", "mailto:a%zz@x.test", "http://x.test/", "ftp://x.test/",
        "https:x.test", "https://", "https:///a", "https://u@x.test/", "https://x.test:0/",
        "https://x.test:99999/", "https://x..test/", "https://x.test/ a", "https://x.test/\n"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

}  // namespace
}  // namespace sluice::engine::tlsrpt
