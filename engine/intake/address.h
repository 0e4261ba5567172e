#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace sluice::engine::intake {

inline constexpr size_t local_part_bytes_max = 64;  // RFC 5321 section 4.5.3.1.1
inline constexpr size_t domain_bytes_max = 255;     // RFC 5321 section 4.5.3.1.2
inline constexpr size_t address_bytes_max =
    254;  // RFC 5321 section 4.5.3.1.3: a path is 256 with its <>

struct AddressParts {
  size_t local_bytes = 0;       // the '@' is behind them, then the domain
  bool needs_smtputf8 = false;  // the local part has octets over 127 (RFC 6531)
};

/// Checks `text` against RFC 5321 section 4.1.2 (Mailbox, with the UTF-8 of RFC 6531 section 3.3)
/// and writes its one normal form to `out` (replaced): local part with the least quoting, domain as
/// normalise_domain() makes it. The error says what is wrong with it, as the end of "is not an
/// address: ". No allocation for ASCII once `out` has its size.
std::expected<AddressParts, std::string_view> normalise_address(std::string_view text,
                                                                std::string& out);

/// Appends the normal form of a domain: lower case, IDN labels as A-labels (IDNA 2008 with the
/// non-transitional mapping of UTS 46), or an address literal (RFC 5321 section 4.1.3).
std::expected<void, std::string_view> normalise_domain(std::string_view text, std::string& out);

}  // namespace sluice::engine::intake
