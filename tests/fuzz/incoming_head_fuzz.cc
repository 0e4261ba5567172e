// Headers of messages that come in. The first octet cuts the message, which is the rest with its
// line ends made CRLF: where it is cut must not matter, a relayed message goes as it came, and one
// that was completed once has nothing left to complete.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/mail/incoming_head.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::mail;

std::string passed(Completion completion, std::string_view message, size_t piece_bytes) {
  IncomingHead head;
  std::string stored;
  head.begin(completion, "<1@me.example>", {});
  for (; !message.empty(); message.remove_prefix(std::min(piece_bytes, message.size()))) {
    const std::string copy(message.substr(0, piece_bytes));
    std::string_view piece = copy;
    for (std::string_view out; !(out = head.next(piece)).empty();) stored += out;
    CHECK(piece.empty());
  }
  CHECK(head.message_id().size() <= IncomingHead::message_id_bytes_max);
  return stored += head.end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string message;
  for (const char c : std::string_view(reinterpret_cast<const char*>(data) + 1, size - 1)) {
    if (c == '\n') message += '\r';
    if (c != '\r') message += c;
  }
  message += "\r\n";
  const size_t piece_bytes = 1 + data[0] % 80;
  CHECK(passed(Completion::never, message, piece_bytes) == message);
  for (const Completion completion : {Completion::automatic, Completion::always}) {
    const std::string whole = passed(completion, message, message.size());
    CHECK(passed(completion, message, piece_bytes) == whole);
    CHECK(passed(completion, message, 1) == whole);
    CHECK(passed(completion, whole, piece_bytes) == whole);
  }
  return 0;
}
