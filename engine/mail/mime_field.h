#pragma once

#include <string>
#include <string_view>

#include "engine/mail/header_field.h"

namespace sluice::engine::mail {

/// Writes a MIME field, folded, with its CRLF. Parameters go as they were written, but those with
/// octets over 127 (UTF-8) as RFC 2231 wants them.
std::string mime_field(std::string_view name, const ParameterizedValue& value);

}  // namespace sluice::engine::mail
