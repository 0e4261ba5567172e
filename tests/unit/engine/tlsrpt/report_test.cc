#include "engine/tlsrpt/report.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "engine/mail/base64.h"
#include "engine/tlsrpt/day_text.h"

namespace sluice::engine::tlsrpt {
namespace {

const Submitter submitter{.organization = "Company-X \"R&D\"",
                          .contact = "sts-reporting@company-x.example",
                          .from = "tlsrpt@company-x.example",
                          .hostname = "mta1.company-x.example"};
const std::string domain = "company-y.example";
const Day day = *parse_date("2016-04-01");

/// That of RFC 8460 appendix B.
DomainCount count() {
  DomainCount made;
  PolicyCount& policy = made.policies[{
      .type = TlsPolicyType::sts,
      .domain = domain,
      .text = {"version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"},
      .mx = {"*.mail.company-y.example"}}];
  policy.successes = 5326;
  policy.failures[{.result = TlsResult::certificate_expired,
                   .sending_ip = "2001:db8:abcd:0012::1",
                   .receiving_mx = "mx1.mail.company-y.example"}] = 100;
  policy.failures[{.result = TlsResult::starttls_not_supported,
                   .sending_ip = "2001:db8:abcd:0013::1",
                   .receiving_mx = "mx2.mail.company-y.example",
                   .receiving_ip = "203.0.113.56"}] = 200;
  policy.failures[{.result = TlsResult::validation_failure,
                   .sending_ip = "198.51.100.62",
                   .receiving_mx = "mx-backup.mail.company-y.example",
                   .receiving_ip = "203.0.113.58",
                   .reason = "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}] = 3;
  return made;
}

std::string inflated(const std::string& gzipped) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
  std::string out(100'000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gzipped.data()));
  stream.avail_in = static_cast<uInt>(gzipped.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(TlsReport, is_what_the_rfc_shows) {
  const Report report(submitter, domain, day);
  const auto shown = nlohmann::json::parse(R"({
    "organization-name": "Company-X \"R&D\"",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "policies": [{
      "policy": {
        "policy-type": "sts",
        "policy-string": ["version: STSv1", "mode: testing", "mx: *.mail.company-y.example",
                          "max_age: 86400"],
        "policy-domain": "company-y.example",
        "mx-host": ["*.mail.company-y.example"]
      },
      "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
      "failure-details": [{
        "result-type": "starttls-not-supported",
        "sending-mta-ip": "2001:db8:abcd:0013::1",
        "receiving-mx-hostname": "mx2.mail.company-y.example",
        "receiving-ip": "203.0.113.56",
        "failed-session-count": 200
      }, {
        "result-type": "certificate-expired",
        "sending-mta-ip": "2001:db8:abcd:0012::1",
        "receiving-mx-hostname": "mx1.mail.company-y.example",
        "failed-session-count": 100
      }, {
        "result-type": "validation-failure",
        "sending-mta-ip": "198.51.100.62",
        "receiving-ip": "203.0.113.58",
        "receiving-mx-hostname": "mx-backup.mail.company-y.example",
        "failed-session-count": 3,
        "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"
      }]
    }]
  })");
  auto made = nlohmann::json::parse(report.json(count()));
  EXPECT_EQ(made["report-id"], report.id());
  made.erase("report-id");
  EXPECT_EQ(made, shown);
}

TEST(TlsReport, has_an_id_of_its_own_for_each_day_domain_and_engine) {
  const std::string id = Report(submitter, domain, day).id();
  EXPECT_TRUE(id.starts_with("20160401.") && id.ends_with("@company-x.example")) << id;
  EXPECT_EQ(Report(submitter, domain, day).id(), id);
  Submitter other = submitter;
  other.hostname = "mta2.company-x.example";
  const std::string other_domain = "company-z.example";
  EXPECT_NE(Report(other, domain, day).id(), id);
  EXPECT_NE(Report(submitter, other_domain, day).id(), id);
  EXPECT_NE(Report(submitter, domain, day + std::chrono::days(1)).id().substr(8), id.substr(8));
}

TEST(TlsReport, goes_as_the_mail_that_receivers_sort_by) {
  const Report report(submitter, domain, day);
  const std::string json = report.json(count());
  const std::string mail = report.mail({"a@company-y.example", "b@company-y.example"}, count(),
                                       gzipped(json), io::WallTime(day + std::chrono::days(1)));
  std::string head = mail.substr(0, mail.find("\r\n\r\n") + 2);
  for (size_t at = 0; (at = head.find("\r\n ", at)) != head.npos;) head.erase(at, 2);
  const std::string id = report.id(), unique = id.substr(9, 16);
  for (const std::string& line :
       {std::string("Date: Sat, 2 Apr 2016 00:00:00 +0000"),
        std::string("From: tlsrpt@company-x.example"),
        std::string("To: a@company-y.example, b@company-y.example"),
        "Subject: Report Domain: company-y.example Submitter: company-x.example Report-ID: <" + id +
            ">",
        std::string("TLS-Report-Domain: company-y.example"),
        std::string("TLS-Report-Submitter: company-x.example"), std::string("TLS-Required: No"),
        std::string("MIME-Version: 1.0"), "Message-ID: <" + id + ">",
        "Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"=_tls-report." +
            unique + "\""})
    EXPECT_NE(("\r\n" + head).find("\r\n" + line + "\r\n"), head.npos) << line << "\n" << head;
  EXPECT_EQ(report.filename(),
            "company-x.example!company-y.example!1459468800!1459555199!" + unique + ".json.gz");
  EXPECT_NE(mail.find("\r\n filename=\"" + report.filename() + "\"\r\n"), mail.npos);
  const size_t part = mail.find("Content-Type: application/tlsrpt+gzip\r\n");
  ASSERT_NE(part, mail.npos);
  const size_t code = mail.find("\r\n\r\n", part) + 4;
  EXPECT_EQ(inflated(mail::decode_base64(mail.substr(code, mail.find("--=_", code) - code))), json);
}

TEST(TlsReport, is_due_within_hours_of_midnight_and_not_all_at_once) {
  const io::WallTime over(day + std::chrono::days(1));
  io::WallTime first = io::WallTime::max(), last = io::WallTime::min();
  for (int i = 0; i < 1000; ++i) {
    const io::WallTime due = due_time(day, "domain" + std::to_string(i) + ".test");
    EXPECT_EQ(due, due_time(day, "domain" + std::to_string(i) + ".test"));
    first = std::min(first, due);
    last = std::max(last, due);
  }
  EXPECT_GE(first, over + std::chrono::minutes(1));
  EXPECT_LT(first, over + std::chrono::minutes(10));
  EXPECT_GT(last, over + std::chrono::hours(3));
  EXPECT_LE(last, over + std::chrono::hours(4) + std::chrono::minutes(1));
}

}  // namespace
}  // namespace sluice::engine::tlsrpt
