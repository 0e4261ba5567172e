// A template from a damaged file is refused, or merges without harm.

#include <cstdint>
#include <string>

#include "engine/mail/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::engine;
  const auto t = mail::Template::decode(std::as_bytes(std::span(data, size)));
  // What is written may grow with the program times the literals; a file that large has a checksum.
  if (!t || size > 4096) return 0;
  Recipient recipient;
  recipient.flags = static_cast<uint8_t>(size % 8);
  recipient.address = "ann@a.example";
  recipient.fields.assign(t->columns(), "J\xc3\xb6rg\r\n.x");
  mail::Merge merge;
  merge.begin(*t, recipient, 1);
  std::string text;
  merge.sender(text);
  merge.message_id(text);
  (void)merge.bytes_estimate();
  (void)merge.needs_smtputf8();
  char piece[64];
  while (merge.read(piece) > 0) {
  }
  return 0;
}
