#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/header_field.h"
#include "engine/mail/source_text.h"

namespace sluice::engine::mail {

enum class TransferEncoding { identity, quoted_printable, base64, other };

/// An entity of RFC 2045: the message, or a part of it. Views into the source.
struct MimePart {
  std::string_view raw;  // header and body
  Header header;
  ParameterizedValue content_type;  // RFC 2045 section 5.2's default where the header names none
  bool has_content_type = false;
  std::string encoding_name;  // Content-Transfer-Encoding, lower case; "" when there is none
  TransferEncoding encoding = TransferEncoding::identity;
  bool is_sealed = false;         // multipart/signed or within one: not one octet may change
  size_t boundary_bytes_min = 0;  // of the multiparts around it; 0: there are none

  // A multipart: between[0] parts[0] between[1] ... between.back() is its body. Empty for a leaf.
  std::vector<std::string_view> between;
  std::vector<MimePart> parts;

  bool is_multipart() const { return !parts.empty(); }
  bool is_text() const { return content_type.value.starts_with("text/"); }
  bool is_html() const {
    return content_type.value == "text/html" || content_type.value == "text/x-amp-html";
  }
};

inline constexpr unsigned mime_depth_max = 32;

/// Reads the tree below a message's header (RFC 2046 section 5.1). A missing last boundary is
/// tolerated, as readers do; message/rfc822 is a leaf.
MimePart parse_mime(std::string_view raw, Header header, SourceText& source);

}  // namespace sluice::engine::mail
