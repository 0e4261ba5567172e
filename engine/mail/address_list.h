#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::mail {

/// Why a list cannot be read, as the end of "To: ", and where.
struct AddressListError {
  size_t offset = 0;
  std::string_view reason;
};

/// The addresses of a field's value (RFC 5322 section 3.4, with the obsolete forms of section 4.4:
/// routes, blanks and comments around dots, empty elements), groups opened. Names, comments and
/// folds are passed over; an address is what is left: `local@domain`, or `local` alone, which is
/// one of this machine. Whether it is a good address is for intake::normalise_address() to say.
/// O(octets); nothing nests deeper than a counter.
std::expected<std::vector<std::string>, AddressListError> parse_address_list(
    std::string_view value);

}  // namespace sluice::engine::mail
