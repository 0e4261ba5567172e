#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spool/campaign.h"

namespace sluice::engine {

/// A campaign's recipient as the spool stores it: flags, address, merge fields; opaque there.
/// Layout (integers LEB128):
///   flags (1 octet), address length, address, then for each column but `email`, in order: length,
///   value.
/// Overhead: 2 octets and one a field, for values under 128 octets.
struct Recipient {
  static constexpr uint8_t needs_8bit = 1;      // a value has octets over 127 (UTF-8)
  static constexpr uint8_t needs_smtputf8 = 2;  // the address's local part has
  static constexpr uint8_t is_plain = 4;  // every value and the address are of [A-Za-z0-9 .,@_+-]:
                                          // no place needs escaping, but a phrase with . , @
  static constexpr uint8_t needs_requiretls = 8;  // RFC 8689

  uint8_t flags = 0;
  std::string_view address;  // domain in A-labels, lower case
  std::vector<std::string_view>
      fields;  // kept between recipients: decoding allocates nothing in steady state

  /// Views into `entry`. False when it does not hold exactly `fields_expected` fields.
  bool decode(spool::Bytes entry, size_t fields_expected);
  void encode(std::string& out) const;  // appends
};

}  // namespace sluice::engine
