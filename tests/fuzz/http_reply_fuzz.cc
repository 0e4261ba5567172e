// What a web server may answer. Where a prefix of an answer is whole, so is all of it, and the
// same.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/https/reply.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::engine::https;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto over = read_reply(text, true);
  CHECK(!over || *over);
  for (const size_t part : {size, size / 2, size / 3}) {
    const auto reply = read_reply(text.substr(0, part), false);
    if (!reply || !*reply) continue;
    CHECK((*reply)->status >= 200 && (*reply)->body.size() <= part);
    CHECK(over && (*over)->status == (*reply)->status && (*over)->body == (*reply)->body);
  }
  return 0;
}
