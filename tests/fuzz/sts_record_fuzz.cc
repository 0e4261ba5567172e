// TXT records that lie where MTA-STS looks: one a line.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sts/record.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::sts::policy_id;
  std::vector<std::string> records(1);
  for (const char c : std::string_view(reinterpret_cast<const char*>(data), size))
    if (c == '\n')
      records.emplace_back();
    else
      records.back() += c;
  const auto id = policy_id(records);
  if (!id) return 0;
  CHECK(!id->empty() && id->size() <= 32);
  CHECK(std::ranges::any_of(records, [&](const std::string& record) {
    return record.starts_with("v=STSv1") && record.find("id=" + *id) != record.npos;
  }));
  // The order of records says nothing.
  std::ranges::reverse(records);
  CHECK(policy_id(records) == id);
  return 0;
}
