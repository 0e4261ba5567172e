#include "engine/tlsrpt/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <utility>

#include "engine/mail/base64.h"
#include "engine/mail/date_text.h"
#include "engine/mail/harmless_text.h"
#include "engine/report/json_writer.h"
#include "engine/tlsrpt/day_text.h"
#include "io/check.h"

namespace sluice::engine::tlsrpt {
namespace {

constexpr io::Duration settle_for = std::chrono::minutes(1);  // what shards still hold comes
constexpr io::Duration spread_over = std::chrono::hours(4);

int64_t seconds_of(Day day) { return std::chrono::sys_seconds(day).time_since_epoch().count(); }

}  // namespace

std::string Report::unique() const {
  return fmt::format(
      "{:016x}", hash_of(fmt::format("{} {} {}", submitter_.hostname, domain_, date_text(day_))));
}

std::string Report::id() const {
  std::string date = date_text(day_);
  std::erase(date, '-');
  return fmt::format("{}.{}@{}", date, unique(), submitter_.domain());
}

std::string Report::filename() const {
  return fmt::format("{}!{}!{}!{}!{}.json.gz", submitter_.domain(), domain_, seconds_of(day_),
                     seconds_of(day_ + std::chrono::days(1)) - 1, unique());
}

std::string Report::json(const DomainCount& count) const {
  std::string out;
  report::JsonObject whole(out);
  whole.string("organization-name", submitter_.organization);
  report::JsonObject range(whole.begin("date-range"));
  range.string("start-datetime", date_text(day_) + "T00:00:00Z");
  range.string("end-datetime", date_text(day_) + "T23:59:59Z");
  range.end();
  whole.string("contact-info", submitter_.contact);
  whole.string("report-id", id());
  whole.begin("policies") += '[';
  bool is_first = true;
  for (const auto& [policy, of_policy] : count.policies) {
    if (!std::exchange(is_first, false)) out += ',';
    append_policy(out, policy, of_policy);
  }
  out += ']';
  whole.end();
  return out;
}

/// For people.
std::string Report::words(const DomainCount& count) const {
  const auto [successes, failures] = count.totals();
  return fmt::format(
      "This is an aggregate TLS report (RFC 8460) from {} about\r\n"
      "mail sent to {} on {} (UTC).\r\n\r\n"
      "Sessions with TLS as it should be: {}\r\nSessions in which TLS failed: {}\r\n\r\n"
      "The details are in the attached file. The domain gets such reports because\r\n"
      "it asks for them in DNS: _smtp._tls.{} TXT.\r\n",
      submitter_.domain(), domain_, date_text(day_), successes, failures, domain_);
}

std::string Report::mail(const std::vector<std::string>& to, const DomainCount& count,
                         std::string_view gzipped, io::WallTime now) const {
  // No line of base64, or of ours, holds it.
  const std::string boundary = "=_tls-report." + unique();
  std::string out;
  mail::append_field(out, "Date", mail::date_text(now));
  mail::append_field(out, "From", submitter_.from);
  mail::append_field(out, "To", fmt::format("{}", fmt::join(to, ", ")));
  mail::append_field(out, "Subject",
                     fmt::format("Report Domain: {} Submitter: {} Report-ID: <{}>", domain_,
                                 submitter_.domain(), id()));
  mail::append_field(out, "Message-ID", fmt::format("<{}>", id()));
  mail::append_field(out, "TLS-Report-Domain", domain_);
  mail::append_field(out, "TLS-Report-Submitter", submitter_.domain());
  mail::append_field(out, "TLS-Required", "No");  // RFC 8689 section 3
  mail::append_field(out, "Auto-Submitted", "auto-generated");
  mail::append_field(out, "MIME-Version", "1.0");
  out += fmt::format(
      "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{0}\"\r\n\r\n"
      "This is a multipart message in MIME format.\r\n\r\n"
      "--{0}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{1}\r\n"
      "--{0}\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n"
      "Content-Disposition: attachment;\r\n filename=\"{2}\"\r\n\r\n{3}\r\n--{0}--\r\n",
      boundary, words(count), filename(), mail::encode_base64_lines(gzipped));
  return out;
}

std::string gzipped(std::string_view octets) {
  constexpr int with_gzip = 16;
  z_stream stream{};
  CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + with_gzip, 8,
                     Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, octets.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
  stream.avail_in = static_cast<uInt>(octets.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

io::WallTime due_time(Day day, std::string_view domain) {
  const auto spread =
      static_cast<int64_t>(hash_of(domain) % static_cast<uint64_t>(spread_over.count()));
  return io::WallTime(day + std::chrono::days(1)) + settle_for + io::Duration(spread);
}

/// FNV-1a.
uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace sluice::engine::tlsrpt
