// Whatever a header holds: a list is read to its end or refused with a place in it, and what was
// read as a plain list of these addresses is read again as the same.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/mail/address_list.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::mail::parse_address_list;
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  const auto addresses = parse_address_list(value);
  if (!addresses) {
    CHECK(!addresses.error().reason.empty() && addresses.error().offset <= size);
    return 0;
  }
  std::string again;
  for (const std::string& address : *addresses) {
    CHECK(!address.empty() && address.find_first_of("\r\n") == address.npos);
    again += "<" + address + ">, ";
  }
  const auto same = parse_address_list(again);
  CHECK(same && *same == *addresses);
  return 0;
}
