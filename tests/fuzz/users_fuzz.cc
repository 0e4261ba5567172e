// Users files: anything is users or mistakes, and a mistake's text never quotes the file.

#include <cstdint>
#include <string_view>

#include "engine/intake/users.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto users =
      sluice::engine::intake::Users::parse({reinterpret_cast<const char*>(data), size});
  if (users) {
    CHECK(users->size() > 0);
  } else {
    CHECK(!users.error().empty());
    for (const auto& error : users.error()) CHECK(error.message.size() < 100);
  }
  return 0;
}
