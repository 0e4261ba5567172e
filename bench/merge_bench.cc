// What an attempt pays for its message: merging 10 KB with five slots.

#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "engine/mail/template.h"
#include "engine/mail/value_escaper.h"
#include "io/check.h"

namespace {

using namespace sluice::engine;

std::string newsletter(std::string_view encoding) {
  std::string message =
      "From: News <news@sender.example>\r\nTo: {{name}} <{{email}}>\r\nSubject: Hello "
      "{{name}}\r\nX-Token: {{token}}\r\n"
      "MIME-Version: 1.0\r\nContent-Type: text/plain; "
      "charset=utf-8\r\nContent-Transfer-Encoding: " +
      std::string(encoding) + "\r\n\r\nDear {{name}}, your token is {{token}}.\r\n";
  for (int i = 0; i < 150; ++i)
    message += "Sixty-five characters of newsletter that say nothing new at all.\r\n";
  return message;
}

mail::Template compile(std::string_view message) {
  mail::TemplateInput input;
  input.message = message;
  input.path = "newsletter.eml";
  input.columns = {"email", "name", "token"};
  input.statistics = {{30, false, false}, {30, true, false}, {30, false, false}};
  input.sender = "bounce+{{token}}@sender.example";
  input.message_id_domain = "sender.example";
  auto t = mail::Template::compile(input);
  CHECK(t.has_value());
  return std::move(*t);
}

void merge(benchmark::State& state, std::string_view encoding, std::string_view name,
           uint8_t flags) {
  const auto t = compile(newsletter(encoding));
  Recipient recipient;
  recipient.flags = flags;
  recipient.address = "user1234@d34.example";
  recipient.fields = {name, "tok00001234"};
  mail::Merge merge;
  std::array<char, 16384> out;
  size_t bytes = 0;
  for (auto _ : state) {
    merge.begin(t, recipient, 1234);
    benchmark::DoNotOptimize(merge.bytes_estimate());
    while (const size_t n = merge.read(out)) bytes += n;
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}

/// A text of lines of which one in so many begins with a dot, as the value of a tag: line ends made
/// CRLF, dots stuffed.
void stuff_dots(benchmark::State& state) {
  std::string text;
  for (int64_t i = 0; i < 150; ++i)
    text += (i % state.range(0) == 0 ? ".Sixty-five" : "Sixty-five") +
            std::string(" characters of newsletter that say nothing new at all.\n");
  mail::ValueEscaper escaper;
  std::string out;
  for (auto _ : state) {
    escaper.begin(text, mail::Escape::text);
    while (!escaper.is_done()) {
      out.clear();
      escaper.next(out, true);
      benchmark::DoNotOptimize(out.data());
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(stuff_dots)->Arg(1)->Arg(10)->Arg(1000);

void recipient_decode(benchmark::State& state) {
  Recipient recipient;
  recipient.address = "user1234@d34.example";
  recipient.fields = {"Name, 1234", "tok00001234"};
  std::string entry;
  recipient.encode(entry);
  for (auto _ : state) {
    benchmark::DoNotOptimize(recipient.decode(std::as_bytes(std::span(entry)), 2));
  }
}

BENCHMARK_CAPTURE(merge, plain, "7bit", "Name, 1234", Recipient::is_plain);
BENCHMARK_CAPTURE(merge, other_characters, "8bit", "J\xc3\xb6rg M\xc3\xbcller",
                  Recipient::needs_8bit);
BENCHMARK_CAPTURE(merge, quoted_printable, "quoted-printable", "Name, 1234", Recipient::is_plain);
BENCHMARK(recipient_decode);

}  // namespace
