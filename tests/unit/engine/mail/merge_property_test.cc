#include <random>

#include "engine/mail/quoted_printable.h"
#include "merging.h"

namespace sluice::engine::mail {
namespace {

/// Values and messages from a seed.
class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  size_t below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }

  template <size_t count>
  std::string_view one_of(const std::string_view (&choices)[count]) {
    return choices[below(count)];
  }

  std::string value() {
    static constexpr std::string_view pieces[] = {
        "a",      "Ann",        " ",     "  ",           "\t", ".",     "..", "\u00fc",
        "\u20ac", "\U0001f600", "\n",    "\r\n",         "\r", "\n.\n", "=",  "=?utf-8?q?x?=",
        "<",      ">",          "\"",    "\\",           "&",  ",",     ";",  "@",
        "--",     "--bound",    "From ", "x.y@z.example"};
    std::string text;
    const size_t count = below(4) == 0 ? below(400) : below(6);
    for (size_t i = 0; i < count; ++i) text += one_of(pieces);
    if (below(20) == 0) text.append(below(3000), 'L');
    return text;
  }

  std::string text() {
    static constexpr std::string_view pieces[] = {
        "Dear {{name}},\n",
        "{{note}}",
        "{{note}}.\n",
        "\n",
        ".\n",
        ".",
        "{{#name}}\n{{name}}\n{{/name}}\n",
        "{{#note}}x{{note}}{{/note}}",
        "{{^note}}.{{/note}}",
        "word ",
        "= \n",
        "\u00fc",
        "{{{name}}}",
        "{{email}} ",
        "long long long long long long long long long long long long line of text\r\n"};
    std::string text;
    for (size_t i = below(12); i > 0; --i) text += one_of(pieces);
    return text;
  }

  std::string part(std::string_view type) {
    static constexpr std::string_view encodings[] = {"7bit", "8bit", "quoted-printable", "base64"};
    const auto encoding = one_of(encodings);
    auto body = text();
    if (encoding == "quoted-printable") body = encode_quoted_printable(body, true);
    if (encoding == "base64") body = "SGVsbG8ge3tuYW1lfX0sIHt7bm90ZX19Lg==\n";
    return "Content-Type: " + std::string(type) +
           "; charset=utf-8\nContent-Transfer-Encoding: " + std::string(encoding) + "\n\n" + body;
  }

  std::string message() {
    const std::string header =
        "From: {{name}} <a@b.example>\nTo: \"{{name}} x\" <{{email}}>\nSubject: Hi {{name}} "
        "{{note}}!\nReply-To: {{note}}\n"
        "List-Help: <https://x.example/{{note}}>\nX-N: {{note}}\n";
    switch (below(3)) {
      case 0: return header + "\n" + text();
      case 1: return header + part("text/html");
      default:
        return header + "Content-Type: multipart/alternative; boundary=bound\n\n--bound\n" +
               part("text/plain") + "\n--bound\n" + part("text/html") + "\n--bound--\n";
    }
  }

 private:
  std::mt19937_64 random_;
};

TEST(MergeProperty, whatever_the_values_the_wire_form_is_sound) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const auto message = generator.message();
    Merging list{.values = {"ann@a.example", generator.value(), generator.value()}};
    list.has_statistics = generator.below(5) != 0;
    list.sender = "b+{{name}}@x.example";
    const auto wire = list.wire(message);
    ASSERT_EQ(fault_of_wire(wire), "") << message << "\n-----\n" << wire;
  }
}

TEST(MergeProperty, every_room_gives_the_same_octets) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const auto message = generator.message();
    Merging list{.values = {"ann@a.example", generator.value(), generator.value()}};
    const auto whole = list.wire(message);
    const auto t = list.compiled(message);
    const auto r = list.recipient();
    for (size_t room = 1; room <= 64; ++room) {
      Merge merge;
      merge.begin(t, r, list.number);
      ASSERT_EQ(Merging::read_all(merge, room), whole) << "room " << room;
    }
  }
}

TEST(MergeProperty, encoding_and_decoding_a_template_changes_nothing) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Generator generator(seed);
    const Merging list{.values = {"ann@a.example", generator.value(), generator.value()}};
    const auto t = list.compiled(generator.message());
    const auto bytes = t.encode();
    const auto again = Template::decode(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->encode(), bytes);
    const auto r = list.recipient();
    Merge one, other;
    one.begin(t, r, 1);
    other.begin(*again, r, 1);
    EXPECT_EQ(Merging::read_all(one, 512), Merging::read_all(other, 512));
    EXPECT_EQ(one.bytes_estimate(), other.bytes_estimate());
  }
}

TEST(MergeProperty, a_damaged_template_is_refused_or_harmless) {
  const Merging list;
  const auto bytes = list.compiled(
                             "From: {{name}} <a@b.example>\nSubject: "
                             "{{#note}}{{note}}{{/note}}\n\n{{name}}{{#note}}x{{/note}}\n")
                         .encode();
  const auto r = list.recipient();
  for (size_t at = 0; at < bytes.size(); ++at) {
    EXPECT_FALSE(Template::decode(std::as_bytes(std::span(bytes).first(at)))) << "cut at " << at;
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const auto t = Template::decode(std::as_bytes(std::span(damaged)));
      if (!t || t->columns() != r.fields.size()) continue;
      Merge merge;
      merge.begin(*t, r, 1);
      std::string text;
      merge.sender(text);
      merge.message_id(text);
      EXPECT_LE(Merging::read_all(merge, 512).size(), 4096U);
    }
  }
  auto newer = bytes;
  ++newer[0];
  EXPECT_FALSE(Template::decode(std::as_bytes(std::span(newer))));
}

TEST(MergeProperty, a_merge_used_again_remembers_nothing) {
  const Merging first{.values = {"ann@a.example", "\u00fc.\n.", std::string(30000, '.')}};
  const Merging second;
  const std::string message = "From: a@b.example\nSubject: {{name}}\n\n{{note}}";
  const auto t = first.compiled(message);
  const auto a = first.recipient(), b = second.recipient();
  Merge used, fresh;
  used.begin(t, a, 1);
  std::string piece(5000, '\0');
  used.read(piece);  // stopped in the middle of a value
  used.begin(t, b, 2);
  fresh.begin(t, b, 2);
  EXPECT_EQ(Merging::read_all(used, 100), Merging::read_all(fresh, 100));
}

}  // namespace
}  // namespace sluice::engine::mail
