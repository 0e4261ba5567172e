// A rule's file is what lies in a folder: whatever that holds, it is refused or means the same when
// it is written again.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/queue/rule.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::queue::Rule;
  const auto rule = Rule::decode("name", {reinterpret_cast<const char*>(data), size});
  if (!rule) return 0;
  for (const Rule::Stretch& stretch : rule->recipients) CHECK(stretch.first <= stretch.last);
  const auto again = Rule::decode("name", rule->encode());
  CHECK(again && again->has_same_selector(*rule));
  CHECK(again->action == rule->action && again->at == rule->at && again->name == rule->name);
  return 0;
}
