#pragma once

#include <string>
#include <string_view>

#include "engine/dkim/key.h"

namespace sluice::engine::dkim {

/// Where a selector's key is published: `s1._domainkey.news.example`.
std::string record_name(std::string_view selector, std::string_view domain);

/// What is published there: `v=DKIM1; k=rsa; p=...` (RFC 6376 section 3.6.1).
std::string record_text(const Key& key);

/// A TXT record as a zone file has it, the text in strings of at most 255 octets (RFC 1035 sections
/// 3.3.14 and 5.1); ends in a line end.
std::string zone_text(std::string_view name, std::string_view text);

/// Why signatures by `key` are not verified with the record `text`, whose strings are joined; ""
/// when they are. The end of a sentence that begins with the record.
std::string mismatch(std::string_view text, const Key& key);

}  // namespace sluice::engine::dkim
