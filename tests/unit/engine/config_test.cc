#include "engine/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/config_keys.h"
#include "engine/config_reference.h"
#include "engine/config_section.h"
#include "engine/config_value.h"
#include "tests/unit/engine/intake/scratch_folder.h"
#include "tests/unit/engine/tls/certificate_files.h"

namespace sluice::engine {
namespace {

using namespace std::chrono_literals;
using smtp::Stage;
using testing::ElementsAre;
using testing::HasSubstr;

Config parsed(std::string_view toml) {
  auto config = Config::parse(toml, "t.toml");
  if (config) return *std::move(config);
  for (const ConfigError& error : config.error()) ADD_FAILURE() << error.text;
  return Config();
}

std::vector<std::string> mistakes(std::string_view toml) {
  std::vector<std::string> texts;
  const auto config = Config::parse(toml, "t.toml");
  if (!config)
    for (const ConfigError& error : config.error()) texts.push_back(error.text);
  return texts;
}

io::Duration timeout(const DestinationPolicy& policy, Stage stage) {
  return policy.timeout[static_cast<size_t>(stage)];
}

TEST(Config, an_empty_file_has_the_defaults_of_the_contract) {
  const Config config = parsed("");
  EXPECT_EQ(config.spool, "/var/spool/sluice");
  EXPECT_EQ(config.log, "/var/log/sluice");
  EXPECT_EQ(config.in_doubt, InDoubtPolicy::resend);
  EXPECT_EQ(config.notices, Notices::sender);
  EXPECT_TRUE(config.listen.empty());
  const DestinationPolicy policy = config.destination("example.net");
  EXPECT_TRUE(policy.next_hops.empty());
  EXPECT_EQ(policy.port, 25);
  EXPECT_EQ(policy.sessions_max, 20u);
  EXPECT_EQ(policy.messages_per_session_max, 1000u);
  EXPECT_EQ(policy.recipients_per_transaction_max, 100u);
  EXPECT_EQ(policy.rate_per_s, 0);
  EXPECT_EQ(policy.hold, HoldPolicy::no);
  EXPECT_EQ(policy.security.tls, TlsPolicy::opportunistic);
  EXPECT_EQ(timeout(policy, Stage::connect), 30s);
  EXPECT_EQ(timeout(policy, Stage::greeting), 5min);
  EXPECT_EQ(timeout(policy, Stage::block), 3min);
  EXPECT_EQ(timeout(policy, Stage::final_dot), 10min);
  EXPECT_EQ(timeout(policy, Stage::idle), 5s);
  EXPECT_EQ(policy.retry.first, 5min);
  EXPECT_EQ(policy.retry.ceiling, 4h);
  EXPECT_EQ(policy.retry.factor, 2.0);
  EXPECT_EQ(policy.retry.jitter, 0.2);
  EXPECT_EQ(policy.retry.connect_interval, 0s);
  EXPECT_EQ(policy.expire.normal, 120h);
  EXPECT_EQ(policy.expire.warn, 4h);
}

TEST(Config, every_stage_has_a_deadline) {
  for (const io::Duration deadline : parsed("").destination("example.net").timeout)
    EXPECT_GT(deadline, 0s);
}

TEST(Config, takes_every_key_of_the_contract) {
  const Config config = parsed(R"(
[engine]
hostname = "mta1.news.example"
spool = "s"
log = "l"
shards = 3
[dns]
servers = ["127.0.0.1:5353", "192.0.2.53"]
[destination."*"]
next_hop = ["relay.example.net:25", "[192.0.2.7]:2525"]
port = 26
sessions_max = 7
messages_per_session_max = 8
recipients_per_transaction_max = 9
rate = "5000/h"
hold = "etrn"
tls = "verified"
[destination."*".timeout]
connect = "250ms"
quit = "1d"
[destination."*".retry]
first = "1m"
factor = 3
ceiling = "2h"
jitter = 0.5
schedule = ["1m", "5m"]
connect_interval = "10m"
connect_attempts_max = 144
transfer_interval = "2m"
transfer_attempts_max = 2
[destination."*".expire]
urgent = "2h"
normal = "3h"
non_urgent = "4h"
warn = ""
[report]
notices = "log"
postmaster = "postmaster@news.example"
in_doubt = "never"
[[listen]]
address = "127.0.0.1:2526"
allow = ["192.0.2.0/24"]
message_bytes_max = 2000
tls_certificate = "c.pem"
tls_key = "k.pem"
users = "u"
etrn = false
tls = "implicit"
submission = "never"
recipients_max = 500
messages_per_session_max = 7
messages_per_client_rate = "2/s"
sessions_max = 8
sessions_per_client_max = 9
command_timeout = "1m"
content_timeout = "2m"
[admin]
address = "127.0.0.1:8025"
token_file = "token"
[tls_report]
from = "tls@mta1.news.example"
organization = "News"
[[dkim."news.example"]]
selector = "s1"
key = "s1.pem"
[[dkim."news.example"]]
selector = "s2"
key = "s2.pem"
start = 2026-12-01T01:30:00+01:30
end = 2026-12-31T00:00:00Z
expire = ""
)");
  EXPECT_EQ(config.hostname, "mta1.news.example");
  EXPECT_EQ(config.shards, 3u);
  ASSERT_EQ(config.dns_servers.size(), 2u);
  EXPECT_EQ(config.dns_servers[0].text(), "127.0.0.1:5353");
  EXPECT_EQ(config.dns_servers[1].port(), 53);
  const DestinationPolicy policy = config.destination("example.net");
  EXPECT_THAT(policy.next_hops, ElementsAre("relay.example.net:25", "[192.0.2.7]:2525"));
  EXPECT_EQ(policy.port, 26);
  EXPECT_DOUBLE_EQ(policy.rate_per_s, 5000 / 3600.0);
  EXPECT_EQ(policy.hold, HoldPolicy::etrn);
  EXPECT_EQ(policy.security.tls, TlsPolicy::verified);
  EXPECT_EQ(timeout(policy, Stage::connect), 250ms);
  EXPECT_EQ(timeout(policy, Stage::quit), 24h);
  EXPECT_EQ(policy.retry.factor, 3.0);
  EXPECT_THAT(policy.retry.schedule, ElementsAre(1min, 5min));
  EXPECT_EQ(policy.retry.connect_attempts_max, 144u);
  EXPECT_EQ(policy.retry.transfer_interval, 2min);
  EXPECT_EQ(policy.expire.warn, 0s);
  EXPECT_EQ(config.in_doubt, InDoubtPolicy::never);
  EXPECT_EQ(config.notices, Notices::log);
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_THAT(config.listen[0].allow, ElementsAre("192.0.2.0/24"));
  EXPECT_FALSE(config.listen[0].etrn);
  EXPECT_EQ(config.listen[0].tls, ListenTls::implicit);
  EXPECT_EQ(config.listen[0].submission, SubmissionPolicy::never);
  EXPECT_EQ(config.listen[0].recipients_max, 500u);
  EXPECT_EQ(config.listen[0].messages_per_session_max, 7u);
  EXPECT_EQ(config.listen[0].messages_per_client_rate, 2);
  EXPECT_EQ(config.listen[0].sessions_max, 8u);
  EXPECT_EQ(config.listen[0].sessions_per_client_max, 9u);
  EXPECT_EQ(config.listen[0].command_timeout, 1min);
  EXPECT_EQ(config.listen[0].content_timeout, 2min);
  EXPECT_EQ(config.admin_token_file, "token");
  EXPECT_EQ(config.tls_report.from, "tls@mta1.news.example");
  EXPECT_EQ(config.tls_report.organization, "News");
  EXPECT_TRUE(config.warnings.empty());
  ASSERT_EQ(config.dkim.size(), 2u);
  EXPECT_EQ(config.dkim[1].selector, "s2");
  EXPECT_EQ(config.dkim[1].domain, "news.example");
  EXPECT_EQ(config.dkim[0].start, io::WallTime{});
  EXPECT_EQ(config.dkim[0].end, io::WallTime::max());
  EXPECT_EQ(config.dkim[0].expire, 14 * 24h);
  EXPECT_EQ(config.dkim[1].start, io::WallTime(1'796'083'200s));
  EXPECT_EQ(config.dkim[1].end, io::WallTime(1'798'675'200s));
  EXPECT_EQ(config.dkim[1].expire, 0s);
}

TEST(Config, the_longest_pattern_wins_key_by_key) {
  const Config config = parsed(R"(
[destination."example.net"]
port = 3
[destination."*"]
port = 1
sessions_max = 1
rate = "1/s"
[destination."*.example.net"]
sessions_max = 2
port = 2
[destination."*.net"]
tls = "required"
port = 9
)");
  const DestinationPolicy exact = config.destination("example.net");
  EXPECT_EQ(exact.port, 3);
  EXPECT_EQ(exact.sessions_max, 1u) << "*.example.net is not example.net";
  EXPECT_EQ(exact.security.tls, TlsPolicy::required);
  const DestinationPolicy below = config.destination("a.b.example.net");
  EXPECT_EQ(below.port, 2);
  EXPECT_EQ(below.sessions_max, 2u);
  EXPECT_EQ(below.rate_per_s, 1);
  EXPECT_EQ(config.destination("badexample.net").port, 9) << "a suffix that is no label border";
  EXPECT_EQ(config.destination("example.org").port, 1);
}

TEST(Config, an_exact_name_beats_a_wildcard_of_the_same_length) {
  const Config config =
      parsed("[destination.\"*.b.net\"]\nport = 1\n[destination.\"a.b.net\"]\nport = 2\n");
  EXPECT_EQ(config.destination("a.b.net").port, 2);
}

TEST(Config, patterns_are_compared_as_a_labels_in_lower_case) {
  const Config config = parsed("[destination.\"*.Büro.Example\"]\nport = 1\n");
  EXPECT_EQ(config.destination("mx.xn--bro-hoa.example").port, 1);
}

TEST(Config, place_names_the_line_that_decided) {
  const Config config = parsed(
      "[destination.\"*\".retry]\nfirst = \"1m\"\n\n[destination.\"a.example\".retry]\nfirst = "
      "\"2m\"\n");
  EXPECT_EQ(config.place("a.example", "retry.first").line, 5u);
  EXPECT_EQ(config.place("b.example", "retry.first").line, 2u);
  EXPECT_EQ(config.place("b.example", "retry.first").file, "t.toml");
  EXPECT_EQ(config.place("b.example", "port").file, "built-in");
}

TEST(Config, the_command_line_beats_every_section) {
  Config config = parsed("[destination.\"a.example\"]\nnext_hop = [\"relay.example\"]\nport = 7\n");
  EXPECT_EQ(config.override_next_hop("127.0.0.1:2525"), std::nullopt);
  EXPECT_THAT(config.destination("a.example").next_hops, ElementsAre("127.0.0.1:2525"));
  EXPECT_EQ(config.destination("a.example").port, 7);
  EXPECT_EQ(config.place("a.example", "next_hop").file, "command line");
  EXPECT_THAT(config.override_next_hop("127.0.0.1").value_or(""), HasSubstr("HOST:PORT"));
  EXPECT_THAT(config.override_next_hop("127.0.0.1:0").value_or(""), HasSubstr("HOST:PORT"));
}

TEST(Config, tells_all_mistakes_in_the_order_of_their_lines) {
  EXPECT_THAT(
      mistakes(R"([engine]
shards = 9999
[destination."*".timeout]
connect = "30x"
[report]
in_doubt = "maybe"
[engine2]
)"),
      ElementsAre(
          "t.toml:2: engine.shards: 9999 is out of range; the range is 0 to 256",
          "t.toml:4: destination.\"*\".timeout.connect: \"30x\" is not a duration; write 30s, 5m, "
          "2h or 1d",
          "t.toml:6: report.in_doubt: \"maybe\" is not one of \"resend\", \"hold\", \"never\"",
          "t.toml:7: engine2: unknown section; did you mean engine?"));
}

struct Mistake {
  const char* toml;
  const char* text;
};

class ConfigMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistake, is_told_with_place_and_advice) {
  EXPECT_THAT(mistakes(GetParam().toml), ElementsAre(GetParam().text)) << GetParam().toml;
}

INSTANTIATE_TEST_SUITE_P(
    Config, ConfigMistake,
    testing::Values(
        Mistake{"[engine\n", "t.toml:1: Error while parsing table header: expected ']', saw '\\n'"},
        Mistake{"[engine]\nshards = 1\nshards = 2\n",
                "t.toml:3: Error while parsing key-value pair: cannot redefine existing integer "
                "'shards'"},
        Mistake{"hostname = \"x\"\n", "t.toml:1: hostname: unknown key; it belongs in [engine]"},
        Mistake{"engine = 1\n", "t.toml:1: engine: 1 is not a section; write [engine]"},
        Mistake{"[engine]\nhostnme = \"x\"\n",
                "t.toml:2: engine.hostnme: unknown key; did you mean hostname?"},
        Mistake{"[engine]\nspool = \"\"\n",
                "t.toml:2: engine.spool: \"\" is empty; a value is needed"},
        Mistake{"[engine]\nspool = 3\n",
                "t.toml:2: engine.spool: 3 is not a string; write it in quotes"},
        Mistake{"[engine]\nhostname = \"a b\"\n",
                "t.toml:2: engine.hostname: \"a b\" is not a host name; write one such as "
                "mta1.example.net"},
        Mistake{"[dns]\nservers = [\"dns.example\"]\n",
                "t.toml:2: dns.servers: \"dns.example\" does not fit; write a list such as "
                "[\"192.0.2.53\", \"127.0.0.1:5353\"]"},
        Mistake{"[destination]\nport = 25\n",
                "t.toml:2: destination.port: stands outside of a pattern; for every destination "
                "write it below [destination.\"*\"]"},
        Mistake{"[destination.example.net]\nport = 25\n",
                "t.toml:1: destination.example.net: unknown key; a pattern with dots needs quotes: "
                "[destination.\"example.net\"]"},
        Mistake{"[destination.\"a.*\"]\n",
                "t.toml:1: destination.\"a.*\": is not a pattern; write \"*\", \"*.example.net\" "
                "or \"example.net\""},
        Mistake{"[destination.\"a.b\"]\n[destination.\"A.B\"]\n",
                "t.toml:1: destination.\"a.b\": is the same pattern as another section's"},
        Mistake{"[destination.\"*\"]\nfirst = \"1m\"\n",
                "t.toml:2: destination.\"*\".first: unknown key; it belongs in "
                "[destination.\"PATTERN\".retry]"},
        Mistake{"[destination.\"*\"]\nretry = 3\n",
                "t.toml:2: destination.\"*\".retry: 3 is not a table"},
        Mistake{"[destination.\"*\"]\nport = \"25\"\n",
                "t.toml:2: destination.\"*\".port: \"25\" is not a whole number; the range is 1 to "
                "65535"},
        Mistake{"[destination.\"*\"]\nport = 0\n",
                "t.toml:2: destination.\"*\".port: 0 is out of range; the range is 1 to 65535"},
        Mistake{"[destination.\"*\"]\nnext_hop = []\n",
                "t.toml:2: destination.\"*\".next_hop: [] names no host; write \"mx\" or a list "
                "such as [\"relay.example.net:25\"]"},
        Mistake{"[destination.\"*\"]\nnext_hop = [\"a:99999\"]\n",
                "t.toml:2: destination.\"*\".next_hop: \"a:99999\" does not fit; write \"mx\" or a "
                "list such as [\"relay.example.net:25\", \"[192.0.2.7]:2525\"]"},
        Mistake{"[destination.\"*\"]\nrate = \"fast\"\n",
                "t.toml:2: destination.\"*\".rate: \"fast\" is not a rate; write 100/s, 3000/m, "
                "5000/h or 100000/d, or \"\" for none"},
        Mistake{"[destination.\"*\".timeout]\ndata = \"0s\"\n",
                "t.toml:2: destination.\"*\".timeout.data: \"0s\" is out of range; the range is "
                "1ms to 1d"},
        Mistake{
            "[destination.\"*\".retry]\nfactor = 0.5\n",
            "t.toml:2: destination.\"*\".retry.factor: 0.5 is out of range; the range is 1 to 100"},
        Mistake{
            "[destination.\"*\".retry]\nfactor = nan\n",
            "t.toml:2: destination.\"*\".retry.factor: nan is out of range; the range is 1 to 100"},
        Mistake{"[destination.\"*\".retry]\nschedule = [\"1m\", \"never\"]\n",
                "t.toml:2: destination.\"*\".retry.schedule: \"never\" is not a duration; write "
                "30s, 5m, 2h or 1d"},
        Mistake{"[destination.\"a.b\".retry]\nfirst = \"5h\"\n",
                "t.toml:2: destination.\"a.b\".retry.first: retry.first (5h) is above "
                "retry.ceiling (4h)"},
        Mistake{"[report]\npostmaster = \"me\"\n",
                "t.toml:2: report.postmaster: \"me\" is not a mail address; write one such as "
                "postmaster@example.net"},
        Mistake{"[listen]\naddress = \"127.0.0.1:25\"\n",
                "t.toml:1: listen: is a list of sections; write [[listen]]"},
        Mistake{"[[listen]]\naddress = \"localhost\"\n",
                "t.toml:2: listen.address: \"localhost\" is not ADDRESS:PORT; write 127.0.0.1:2525 "
                "or [::1]:2525"},
        Mistake{"[[listen]]\nallow = [\"10.0.0.1/8\"]\n",
                "t.toml:2: listen.allow: \"10.0.0.1/8\" has bits beyond its /8; write 10.0.0.0/8"},
        Mistake{"[[listen]]\nallow = [7]\n",
                "t.toml:2: listen.allow: 7 is not a network; write 192.0.2.0/24, 2001:db8::/32 or "
                "one address"},
        Mistake{"[[listen]]\nallow = \"::1\"\n",
                "t.toml:2: listen.allow: \"::1\" is not a list; write one such as "
                "[\"127.0.0.0/8\", \"::1\"]"},
        Mistake{"[[listen]]\ntls_key = \"k\"\n",
                "t.toml:2: listen.tls_key: needs tls_certificate as well"},
        Mistake{"[[listen]]\nusers = \"u\"\n",
                "t.toml:2: listen.users: needs tls_certificate and tls_key: AUTH is offered only "
                "under TLS"},
        Mistake{"[[listen]]\nallow_certificates = [\"*\"]\n",
                "t.toml:2: listen.allow_certificates: needs tls_client_ca_file: who is to vouch "
                "for them?"},
        Mistake{"[[listen]]\ntls_client_ca_file = \"c\"\n",
                "t.toml:2: listen.tls_client_ca_file: needs tls_certificate and tls_key"},
        Mistake{"[[listen]]\nallow_certificates = [\"a b\"]\n",
                "t.toml:2: listen.allow_certificates: \"a b\" does not fit; write a list such as "
                "[\"relay.example.net\"], or [\"*\"]"},
        Mistake{"[[listen]]\ntls = \"implicit\"\n",
                "t.toml:2: listen.tls: \"implicit\" needs tls_certificate and tls_key"},
        Mistake{
            "[[listen]]\n[[listen]]\n",
            "t.toml:2: listen.address: \"127.0.0.1:2525\" is another section's address as well"},
        Mistake{"[[listen]]\netrn = 1\n", "t.toml:2: listen.etrn: 1 is not true or false"},
        Mistake{
            "[admin]\naddress = \"0.0.0.0:80\"\n",
            "t.toml:2: admin.address: \"0.0.0.0:80\" is not on loopback; that needs a token_file"},
        Mistake{"[tls_report]\ncontact = \"a@b.example\"\n",
                "t.toml:1: tls_report.from: is missing: no reports are made without it"},
        Mistake{
            "[tls_report]\norganization = \"b\"\nfrom = \"b\xC3\xBC@b.example\"\n",
            "t.toml:3: tls_report.from: \"b\xC3\xBC@b.example\" is not an address in ASCII of a "
            "domain in A-labels"},
        Mistake{"[dkim.\"a.example\"]\nselector = \"s\"\n",
                "t.toml:1: dkim.\"a.example\".key: is missing"},
        Mistake{"[dkim.\"a.example\"]\nselector = \"a b\"\nkey = \"k\"\n",
                "t.toml:2: dkim.\"a.example\".selector: \"a b\" is not a selector; write one such "
                "as s1 or 2026-12.mail"},
        Mistake{"[dkim.\"a.example\"]\nselector = \"s\"\nkey = \"k\"\nstart = "
                "2026-12-01T00:00:00\n",
                "t.toml:4: dkim.\"a.example\".start: 2026-12-01T00:00:00 is not a time with its "
                "zone; write 2026-12-01T00:00:00Z, without quotes"},
        Mistake{"[dkim.\"a.example\"]\nselector = \"s\"\nkey = \"k\"\nstart = "
                "2026-12-02T00:00:00Z\nend = 2026-12-02T00:00:00Z\n",
                "t.toml:5: dkim.\"a.example\".end: is not later than start"}));

TEST(Config, lets_a_message_go_whatever_DANE_and_MTA_STS_say) {
  const Config config = parsed("");
  DestinationPolicy policy = config.destination("x.test");
  EXPECT_TRUE(policy.has_dane());
  EXPECT_TRUE(policy.has_mta_sts());
  policy.is_tls_optional = true;
  EXPECT_FALSE(policy.has_dane());
  EXPECT_FALSE(policy.has_mta_sts());
}

TEST(Config, warns_of_reports_that_nobody_would_read) {
  const Config config = parsed("[tls_report]\nfrom = \"tls@b.example\"\n");
  ASSERT_EQ(config.warnings.size(), 1u);
  EXPECT_EQ(config.warnings[0].text,
            "t.toml:2: tls_report.from: there is no [dkim.\"b.example\"]; reports without a "
            "signature are passed over by those who get them");
}

constexpr std::string_view two_sources = R"([[source."news"]]
address = "192.0.2.1"
hostname = "out1.news.example"
weight = 2
[[source."news"]]
address = "2001:db8::1"
[[source."alerts"]]
address = "192.0.2.9"
)";

TEST(Config, a_source_is_a_pool_of_addresses_with_names) {
  const Config config = parsed(std::string(two_sources) +
                               "[destination.\"*\"]\nsource = \"news\"\n"
                               "[destination.\"own.example\"]\nsource = \"\"\n");
  const DestinationPolicy policy = config.destination("example.net");
  ASSERT_EQ(policy.source_addresses.size(), 2u);
  EXPECT_EQ(policy.source_addresses[0].text(), "192.0.2.1");
  EXPECT_EQ(policy.source_addresses[0].hostname, "out1.news.example");
  EXPECT_EQ(policy.source_addresses[0].weight, 2u);
  EXPECT_EQ(policy.source_addresses[1].text(), "2001:db8::1");
  EXPECT_EQ(policy.source_addresses[1].hostname, "");
  EXPECT_EQ(policy.source_addresses[1].weight, 1u);
  EXPECT_TRUE(config.destination("own.example").source_addresses.empty());
  EXPECT_NE(policy, config.destination("own.example"));
}

TEST(Config, mail_goes_from_the_source_of_its_sender_before_that_of_its_destination) {
  const Config config = parsed(std::string(two_sources) +
                               "[destination.\"*\"]\nsource = \"news\"\n"
                               "[sender.\"*@alerts.example\"]\nsource = \"alerts\"\n");
  const auto source = [&](std::string_view sender) {
    return config.destination("example.net", "", config.sender(sender).source).source;
  };
  EXPECT_EQ(source("a@alerts.example"), "alerts");
  EXPECT_EQ(source("a@news.example"), "news");
  EXPECT_EQ(source(""), "news");
  const DestinationPolicy policy = config.destination("example.net", "", "alerts");
  ASSERT_EQ(policy.source_addresses.size(), 1u);
  EXPECT_EQ(policy.source_addresses[0].text(), "192.0.2.9");
}

TEST(Config, mistakes_about_sources_are_told) {
  EXPECT_THAT(
      mistakes("[destination.\"*\"]\nsource = \"newz\"\n" + std::string(two_sources)),
      ElementsAre("t.toml:2: destination.\"*\".source: there is no [[source.\"newz\"]]; did "
                  "you mean \"news\"?"));
  EXPECT_THAT(mistakes("[[source.\"a\"]]\naddress = \"out1.example\"\n"),
              ElementsAre(HasSubstr("\"out1.example\" is not an IP address")));
  EXPECT_THAT(mistakes("[[source.\"a\"]]\naddress = \"192.0.2.1\"\n[[source.\"a\"]]\naddress = "
                       "\"192.0.2.1\"\n"),
              ElementsAre(HasSubstr("t.toml:4: source.a.address: \"192.0.2.1\" is another")));
  EXPECT_THAT(mistakes("[[source.\"a\"]]\nweight = 1\n"), ElementsAre(HasSubstr("is missing")));
  EXPECT_THAT(mistakes("[source]\naddress = \"192.0.2.1\"\n"),
              ElementsAre(HasSubstr("write [[source.\"news\"]]")));
}

TEST(Config, the_weight_of_a_sender_goes_by_its_domain) {
  const auto config = Config::parse(R"(
[sender."*@News.example"]
weight = 3
[sender."*"]
weight = 2
)",
                                    "c.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->sender("bounce+{{id}}@news.EXAMPLE").weight, 3u);
  EXPECT_EQ(config->sender("a@sub.news.example").weight, 2u);
  EXPECT_EQ(config->sender("").weight, 2u);
  EXPECT_EQ(Config::defaults().sender("a@news.example").weight, 1u);
  EXPECT_FALSE(Config::parse("[sender.\"news.example\"]\nweight = 3\n", "c.toml"));
}

TEST(Config, a_listener_is_closed_to_strangers_and_bounded_by_default) {
  const Config config = parsed("[[listen]]\naddress = \"0.0.0.0:25\"\n");
  ASSERT_EQ(config.listen.size(), 1u);
  const ListenPolicy& listener = config.listen[0];
  EXPECT_THAT(listener.allow, ElementsAre("127.0.0.0/8", "::1/128"));
  EXPECT_EQ(listener.message_bytes_max, 52428800u);
  EXPECT_EQ(listener.recipients_max, 1000u);
  EXPECT_EQ(listener.messages_per_session_max, 10000u);
  EXPECT_EQ(listener.sessions_max, 10000u);
  EXPECT_EQ(listener.sessions_per_client_max, 1000u);
  EXPECT_EQ(listener.command_timeout, 5min);
  EXPECT_EQ(listener.content_timeout, 10min);
  EXPECT_EQ(listener.submission, SubmissionPolicy::automatic);
  EXPECT_EQ(listener.tls, ListenTls::starttls);
}

TEST(Config, a_value_that_would_fill_the_screen_is_cut_at_a_character) {
  const std::string long_value =
      "[engine]\nhostname = \"" + std::string(57, 'a') + "öööööööööö\"\n";
  const auto texts = mistakes(long_value);
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_THAT(texts[0], HasSubstr("aaö... is not")) << texts[0];
}

using ConfigFile = intake::ScratchFolder;

TEST_F(ConfigFile, that_names_one_that_cannot_be_read_is_told_by_its_field) {
  const std::string path = write("sluice.toml", "[admin]\ntoken_file = \"/nonexistent/token\"\n");
  const auto config = Config::load(path);
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(
      config.error()[0].text,
      path +
          ":2: admin.token_file: \"/nonexistent/token\" cannot be read: No such file or directory");
  EXPECT_EQ(config.error()[0].line, 2u);
  EXPECT_EQ(config.error()[0].field, "admin.token_file");
}

TEST_F(ConfigFile, that_names_an_address_which_this_machine_lacks_is_good_with_a_warning) {
  const std::string path = write("sluice.toml", std::string(two_sources) +
                                                    "[[source.\"here\"]]\naddress = "
                                                    "\"127.0.0.7\"\n");
  const auto config = Config::load(path);
  ASSERT_TRUE(config);
  std::vector<unsigned> lines;
  for (const ConfigError& warning : config->warnings) lines.push_back(warning.line);
  EXPECT_THAT(lines, ElementsAre(2, 6, 8));
  EXPECT_EQ(config->warnings[0].text,
            path + ":2: source.news.address: \"192.0.2.1\" is not an address of this machine");
}

TEST_F(ConfigFile, tells_a_key_that_is_not_its_certificates) {
  const tls::CertificateFiles own, other;
  const auto with_key = [&](const std::string& key) {
    return write("sluice.toml", "[[listen]]\ntls_certificate = \"" + own.certificate() +
                                    "\"\ntls_key = \"" + key + "\"\n");
  };
  EXPECT_TRUE(Config::load(with_key(own.key())));
  const std::string path = with_key(other.key());
  const auto config = Config::load(path);
  ASSERT_FALSE(config.has_value());
  ASSERT_EQ(config.error().size(), 1u);
  EXPECT_EQ(config.error()[0].text,
            path + ":3: listen.tls_key: \"" + other.key() + "\" is not the certificate's key");
}

TEST_F(ConfigFile, tells_each_mistake_of_a_users_file_by_its_listener) {
  const std::string users = write("users", "joe\n\nmax:secret\n");
  std::filesystem::permissions(users, std::filesystem::perms::owner_read);
  const std::string path = write("sluice.toml", "[[listen]]\nusers = \"" + users + "\"\n");
  const auto config = Config::load(path);
  ASSERT_FALSE(config.has_value());
  const std::string field = path + ":2: listen.users: ";
  ASSERT_EQ(config.error().size(), 3u);
  EXPECT_EQ(config.error()[0].text, field + users + ":1: is not user:hash");
  EXPECT_EQ(config.error()[1].text,
            field + users +
                ":3: has a password or a weak hash; make one with: mkpasswd "
                "-m yescrypt");
  EXPECT_THAT(config.error()[2].text, HasSubstr("needs tls_certificate"));
}

TEST(Config, tells_what_does_not_fit_in_how_a_destination_is_protected) {
  EXPECT_THAT(
      mistakes("[destination.\"*\"]\ntls_client_key = \"k\"\n"),
      ElementsAre("t.toml:2: destination.\"*\".tls_client_key: needs tls_client_certificate "
                  "and tls_client_key, both of them"));
  EXPECT_THAT(mistakes("[destination.\"*\"]\ntls = \"required\"\nauth_user = \"u\"\n"),
              ElementsAre("t.toml:3: destination.\"*\".auth_user: needs auth_user and "
                          "auth_password_file, both of them"));
  // What another section undoes is told there.
  EXPECT_THAT(mistakes("[destination.\"*\"]\ntls = \"verified\"\nauth_user = \"u\"\n"
                       "auth_password_file = \"p\"\n[destination.\"a.example\"]\ntls = \"none\"\n"),
              ElementsAre("t.toml:6: destination.\"a.example\".tls: needs tls = \"required\" or "
                          "\"verified\": no password goes in the clear"));
}

TEST(Config, a_missing_file_says_so) {
  const auto config = Config::load("/nonexistent/sluice.toml");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error()[0].text,
            "/nonexistent/sluice.toml: cannot be read: No such file or directory");
}

TEST(Config, a_folder_is_no_configuration) {
  const auto config = Config::load("/");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error()[0].text, "/: cannot be read: Is a directory");
}

TEST(Config, defaults_have_a_hostname_that_ehlo_takes) {
  EXPECT_TRUE(is_hostname(Config::defaults().hostname));
}

TEST(ConfigReference, the_file_of_defaults_is_right_and_changes_nothing) {
  const Config config = parsed(config_defaults_toml());
  const Config standard = parsed("");
  EXPECT_EQ(config.destination("example.net"), standard.destination("example.net"));
  EXPECT_EQ(config.spool, standard.spool);
  EXPECT_EQ(config.listen.size(), 0u);
}

TEST(ConfigReference, the_document_is_the_one_in_docs) {
  const auto root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream file(root / "docs/configuration.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), config_markdown())
      << "make it anew: build/sluice check --describe > docs/configuration.md";
}

TEST(DestinationPolicy, members_without_a_section_have_the_tables_defaults) {
  const DestinationPolicy plain;
  const DestinationPolicy standard = parsed("").destination("x");
  EXPECT_EQ(plain.port, standard.port);
  EXPECT_EQ(plain.sessions_max, standard.sessions_max);
  EXPECT_EQ(plain.messages_per_session_max, standard.messages_per_session_max);
  EXPECT_EQ(plain.recipients_per_transaction_max, standard.recipients_per_transaction_max);
  EXPECT_EQ(plain.security, standard.security);
}

}  // namespace
}  // namespace sluice::engine
