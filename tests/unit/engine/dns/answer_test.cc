#include "engine/dns/answer.h"

#include <gtest/gtest.h>

#include "tests/sim/world/dns_octets.h"
#include "tests/sim/world/random.h"

namespace sluice::engine::dns {
namespace {

using sim::on_the_wire;
using sim::record;
using sim::u16;
using sim::u32;

const std::string to_question = "\xC0\x0C";

std::string mx(unsigned preference, const std::string& host) { return u16(preference) + host; }

std::string soa(uint32_t ttl_s, uint32_t minimum) {
  return record(on_the_wire("test"), 6, ttl_s,
                on_the_wire("ns.test") + on_the_wire("root.test") + u32(1) + u32(2) + u32(3) +
                    u32(4) + u32(minimum));
}

struct Message {
  std::string name = "example.test";
  unsigned type = 15, flags = 0x8180;
  std::vector<std::string> answers = {}, authorities = {};

  std::string octets() const {
    std::string out = u16(4711) + u16(flags) + u16(1) + u16(answers.size()) +
                      u16(authorities.size()) + u16(0) + on_the_wire(name) + u16(type) + u16(1);
    for (const auto& r : answers) out += r;
    for (const auto& r : authorities) out += r;
    return out;
  }
};

std::expected<Answer, std::string_view> read(const std::string& octets,
                                             RecordType type = RecordType::mx) {
  return read_answer(std::as_bytes(std::span(octets)), "example.test", type);
}

TEST(Answer, has_the_MXes_in_lower_case_by_preference_once_each) {
  const auto answer =
      read(Message{.name = "Example.TEST",
                   .answers = {record(to_question, 15, 300, mx(20, on_the_wire("MX2.test"))),
                               record(to_question, 15, 200, mx(10, on_the_wire("mx1.test"))),
                               record(to_question, 15, 200, mx(10, on_the_wire("mx1.test")))}}
               .octets());
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->kind, Answer::Kind::found);
  EXPECT_EQ(answer->mx, (std::vector<MxRecord>{{10, "mx1.test"}, {20, "mx2.test"}}));
  EXPECT_EQ(answer->ttl_s, 200u);
}

TEST(Answer, has_addresses_of_both_families) {
  const std::string six("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
  const auto v4 =
      read(Message{.type = 1, .answers = {record(to_question, 1, 5, "\xC0\1\2\3")}}.octets(),
           RecordType::a);
  const auto v6 = read(Message{.type = 28, .answers = {record(to_question, 28, 5, six)}}.octets(),
                       RecordType::aaaa);
  ASSERT_TRUE(v4 && v6);
  EXPECT_EQ(v4->addresses.at(0).text(), "192.1.2.3:0");
  EXPECT_EQ(v6->addresses.at(0).text(), "[2001:db8::1]:0");
}

TEST(Answer, has_TLSA_records_in_order_and_says_whether_they_are_authentic) {
  const std::string first("\2\0\1ab", 5), second("\3\1\1", 3);
  Message message{
      .type = 52,
      .answers = {record(to_question, 52, 5, second), record(to_question, 52, 9, first)}};
  const auto insecure = read(message.octets(), RecordType::tlsa);
  ASSERT_TRUE(insecure) << insecure.error();
  EXPECT_EQ(insecure->tlsa, (std::vector<tls::TlsaRecord>{{2, 0, 1, "ab"}, {3, 1, 1, ""}}));
  EXPECT_EQ(insecure->ttl_s, 5u);
  EXPECT_FALSE(insecure->is_authentic);
  message.flags |= 0x20;
  EXPECT_TRUE(read(message.octets(), RecordType::tlsa)->is_authentic);
  message.answers = {record(to_question, 52, 5, "\3\1")};
  EXPECT_EQ(read(message.octets(), RecordType::tlsa).error(), "it has a record that is none");
}

TEST(Answer, has_no_TLSA_record_that_is_cut_anywhere) {
  const std::string whole = Message{
      .type = 52,
      .flags = 0x81A0,
      .answers = {
          record(to_question, 52, 5,
                 "\3\1\1"
                 "digest")}}.octets();
  ASSERT_TRUE(read(whole, RecordType::tlsa));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(read(whole.substr(0, size), RecordType::tlsa)) << size;
}

TEST(Answer, joins_the_strings_of_each_TXT_record) {
  const std::string data("\2ab\0\3cde", 8);
  const std::string whole = Message{.type = 16,
                                    .answers = {record(to_question, 16, 5, data),
                                                record(to_question, 16, 5, std::string(1, '\0'))}}
                                .octets();
  const auto answer = read(whole, RecordType::txt);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->texts, (std::vector<std::string>{"abcde", ""}));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(read(whole.substr(0, size), RecordType::txt)) << size;
  for (const char* broken : {"", "\3ab", "\2ab\1"})
    EXPECT_FALSE(read(Message{.type = 16, .answers = {record(to_question, 16, 5, broken)}}.octets(),
                      RecordType::txt))
        << broken;
}

TEST(Answer, tells_where_a_name_is_an_alias_to) {
  const auto answer = read(
      Message{.type = 5, .answers = {record(to_question, 5, 7, on_the_wire("a.test"))}}.octets(),
      RecordType::cname);
  ASSERT_TRUE(answer) << answer.error();
  EXPECT_EQ(answer->kind, Answer::Kind::found);
  EXPECT_EQ(answer->alias, "a.test");
  const auto none =
      read(Message{.type = 5, .authorities = {soa(60, 60)}}.octets(), RecordType::cname);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->kind, Answer::Kind::no_data);
}

TEST(Answer, follows_aliases_in_any_order_and_takes_the_least_time) {
  const auto answer = read(Message{
      .answers = {record(on_the_wire("b.test"), 15, 300, mx(10, std::string(1, '\0'))),
                  record(on_the_wire("A.test"), 5, 50, on_the_wire("b.test")),
                  record(to_question, 5, 70, on_the_wire("a.test")),
                  record(on_the_wire("stray.test"), 15, 1, mx(1, on_the_wire("stray.test")))}}
                               .octets());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->mx, (std::vector<MxRecord>{{10, ""}})) << "nothing of a name nobody asked for";
  EXPECT_EQ(answer->ttl_s, 50u);
}

TEST(Answer, tells_the_kinds_of_nothing_apart) {
  using Kind = Answer::Kind;
  const auto kind = [](const Message& message) { return read(message.octets())->kind; };
  const std::string alias = record(to_question, 5, 70, on_the_wire("a.test"));
  EXPECT_EQ(kind({.authorities = {soa(60, 60)}}), Kind::no_data);
  EXPECT_EQ(kind({}), Kind::no_data);
  EXPECT_EQ(kind({.flags = 0x8183}), Kind::no_name);
  EXPECT_EQ(kind({.answers = {alias}}), Kind::alias);
  EXPECT_EQ(kind({.answers = {alias}, .authorities = {soa(60, 60)}}), Kind::no_data);
  EXPECT_EQ(kind({.flags = 0x8183, .answers = {alias}}), Kind::no_name);
  EXPECT_EQ(kind({.flags = 0x8182}), Kind::server_failed);
  EXPECT_EQ(kind({.flags = 0x8185}), Kind::server_failed);
  EXPECT_EQ(
      kind({.answers = {alias, record(on_the_wire("a.test"), 5, 70, on_the_wire("example.test"))}}),
      Kind::alias_loop);
  EXPECT_EQ(read(Message{.answers = {alias}}.octets())->alias, "a.test");
}

TEST(Answer, that_there_is_nothing_lasts_for_the_lesser_of_the_SOAs_times) {
  const auto ttl_s = [](const Message& message) { return read(message.octets())->ttl_s; };
  EXPECT_EQ(ttl_s({.authorities = {soa(60, 90)}}), 60u);
  EXPECT_EQ(ttl_s({.authorities = {soa(90, 60)}}), 60u);
  EXPECT_EQ(ttl_s({}), 0u);
  EXPECT_EQ(ttl_s({.authorities = {soa(0x80000000u, 60)}}), 0u) << "RFC 2181 section 8";
}

TEST(Answer, is_none_when_it_does_not_answer_our_question) {
  const auto problem = [](const Message& message) {
    const auto answer = read(message.octets());
    return answer ? std::string_view() : answer.error();
  };
  EXPECT_EQ(problem({.name = "other.test"}), "it answers another question");
  EXPECT_EQ(problem({.type = 1}), "it answers another question");
  EXPECT_EQ(problem({.flags = 0x0180}), "it is a question");
  EXPECT_EQ(problem({.flags = 0x8380}), "it is truncated");
  EXPECT_EQ(problem({.answers = {record(to_question, 15, 5, "\1")}}),
            "it has a record that is none");
  EXPECT_EQ(problem({.answers = {record(to_question, 5, 5, std::string(1, '\0'))}}),
            "it has an alias of no name");
}

TEST(Answer, names_with_odd_octets_pass_for_no_other_name) {
  const std::string dotted = std::string("\4a.bc\4test\0", 11);
  const auto answer =
      read(Message{.answers = {record(to_question, 15, 5, mx(1, dotted))}}.octets());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->mx.at(0).host, "a\\046bc.test");
}

TEST(Answer, names_that_lead_in_circles_or_go_on_too_long_are_none) {
  const auto read_host = [](const std::string& host) {
    return read(Message{.answers = {record(to_question, 15, 5, mx(1, host))}}.octets()).has_value();
  };
  const auto here = static_cast<unsigned>(Message{}.octets().size() + 12 + 2);
  EXPECT_TRUE(read_host(to_question));
  EXPECT_FALSE(read_host(u16(0xC000 | here))) << "points to itself";
  EXPECT_FALSE(read_host("\1a" + u16(0xC000 | here))) << "in a circle";
  EXPECT_FALSE(read_host(u16(0xC000 | (here + 2)) + on_the_wire("later"))) << "ahead";
  EXPECT_FALSE(read_host(std::string("\x41x\0", 3))) << "no such type of label";
  std::string longest;
  for (int i = 0; i < 127; ++i) longest += "\1a";
  EXPECT_TRUE(read_host(longest + '\0'));
  EXPECT_FALSE(read_host("\1a" + longest + '\0')) << "256 octets";
}

TEST(Answer, cut_anywhere_it_is_none) {
  const std::string whole = Message{
      .answers = {record(to_question, 5, 70, on_the_wire("a.test")),
                  record(on_the_wire("a.test"), 15, 300, mx(10, on_the_wire("mx1.test")))},
      .authorities = {
          soa(60, 60)}}.octets();
  ASSERT_TRUE(read(whole));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(read(whole.substr(0, size))) << size;
}

TEST(Answer, with_any_octets_changed_keeps_its_bounds) {
  const uint64_t seed = 20261122;
  sim::Random random(seed);
  const std::string whole = Message{
      .answers = {record(to_question, 5, 70, on_the_wire("a.test")),
                  record(on_the_wire("a.test"), 15, 300, mx(10, on_the_wire("mx1.test")))},
      .authorities = {
          soa(60, 60)}}.octets();
  for (int round = 0; round < 50'000; ++round) {
    std::string octets = whole;
    for (uint64_t i = random.between(1, 6); i > 0; --i)
      octets[random.below(octets.size())] = static_cast<char>(random.next());
    const auto answer = read(octets);
    if (!answer) continue;
    EXPECT_EQ(answer->kind == Answer::Kind::found, !answer->mx.empty()) << "seed " << seed;
    for (const MxRecord& record : answer->mx) EXPECT_LE(record.host.size(), 4 * 255u);
  }
}

TEST(Answer, holds_no_more_records_than_it_says) {
  Message message;
  for (unsigned i = 0; i < 500; ++i)
    message.answers.push_back(
        record(to_question, 15, 5, mx(500 - i, on_the_wire("mx" + std::to_string(i) + ".test"))));
  const auto answer = read(message.octets());
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->mx.size(), Answer::records_max);
  EXPECT_EQ(answer->mx.front().preference, 1) << "those of least preference numbers";
}

}  // namespace
}  // namespace sluice::engine::dns
