#pragma once

#include <span>
#include <string>
#include <vector>

namespace sluice::engine::tlsrpt {

/// Where a domain wants its reports: the URIs of `rua`, as written, from the TXT records of
/// `_smtp._tls.DOMAIN` (RFC 8460 section 3), the strings of each joined. Empty: it wants none.
std::vector<std::string> report_uris(std::span<const std::string> records);

}  // namespace sluice::engine::tlsrpt
