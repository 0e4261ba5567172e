// Any message compiles or is refused; what compiles merges to a sound wire form, and survives its
// encoding.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/mail/template.h"
#include "io/check.h"

namespace {

using namespace sluice::engine;

// CRLF only, lines within 998 octets, dots stuffed.
void check_wire(std::string_view wire) {
  CHECK(wire.ends_with("\r\n"));
  while (!wire.empty()) {
    const size_t end = wire.find_first_of("\r\n");
    CHECK(wire.substr(end, 2) == "\r\n");
    const bool stuffed = wire.starts_with("..");
    CHECK(stuffed || !wire.starts_with('.'));
    CHECK(end <= 998U + (stuffed ? 1 : 0));
    wire.remove_prefix(end + 2);
  }
}

std::string merge(const mail::Template& t, const Recipient& recipient, size_t room) {
  mail::Merge merge;
  merge.begin(t, recipient, 1);
  std::string out, piece(room, '\0');
  while (const size_t bytes = merge.read(piece)) out.append(piece, 0, bytes);
  CHECK(merge.bytes_estimate() * 10 >= out.size() * 9);
  std::string text;
  merge.sender(text);
  merge.message_id(text);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Octets behind a 0xff are the values of two columns; a second one parts them.
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto message = input.substr(0, input.find('\xff'));
  const auto values = message.size() < size ? input.substr(message.size() + 1) : "Ann";
  const auto name = values.substr(0, values.find('\xff'));
  const auto note = name.size() < values.size() ? values.substr(name.size() + 1) : "a\n.b";
  mail::TemplateInput in;
  in.message = message;
  in.path = "m.eml";
  in.columns = {"email", "n", "x"};
  in.sender = "b+{{n}}@x.example";
  in.unsubscribe_url = "https://x.example/{{x}}";
  in.message_id_domain = "x.example";
  if (size % 2 == 0) {
    in.statistics = {{13, false, false}};
    for (const auto value : {name, note})
      in.statistics.push_back({static_cast<uint32_t>(value.size()), true, true});
  }
  const auto t = mail::Template::compile(in);
  if (!t) {
    CHECK(!t.error().empty());
    return 0;
  }
  Recipient recipient;
  recipient.flags = Recipient::needs_8bit;
  recipient.address = "ann@a.example";
  recipient.fields = {name, note};
  const auto wire = merge(*t, recipient, 4096);
  check_wire(wire);
  const auto bytes = t->encode();
  const auto again = mail::Template::decode(std::as_bytes(std::span(bytes)));
  CHECK(again.has_value());
  CHECK(merge(*again, recipient, 3) == wire);
  return 0;
}
