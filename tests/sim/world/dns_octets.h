#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::sim {

/// Parts of a DNS message (RFC 1035 section 4.1) in network order.
inline std::string u16(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xFF)};
}

inline std::string u32(uint32_t value) { return u16(value >> 16) + u16(value & 0xFFFF); }

/// "a.test", or "a.test.", as labels.
inline std::string on_the_wire(std::string_view name) {
  std::string octets;
  if (name.ends_with('.')) name.remove_suffix(1);
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    octets += static_cast<char>(label.size());
    octets += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  return octets + '\0';
}

/// A resource record of class IN; `owner` is on the wire already.
inline std::string record(std::string_view owner, uint16_t type, uint32_t ttl_s,
                          std::string_view data) {
  return std::string(owner) + u16(type) + u16(1) + u32(ttl_s) + u16(data.size()) +
         std::string(data);
}

}  // namespace sluice::sim
