#include "engine/mail/mime_tree.h"

#include <fmt/format.h>

#include "engine/mail/charset.h"

namespace sluice::engine::mail {
namespace {

struct Delimiter {
  size_t begin, end;  // of its line, with the CRLF
  bool is_last;
};

// The next delimiter line (RFC 2046 section 5.1.1) of `text` from `at`, which is where a line
// begins.
std::optional<Delimiter> find_delimiter(std::string_view text, size_t at,
                                        std::string_view boundary) {
  const auto mark = fmt::format("--{}", boundary);
  for (;; ++at) {
    at = text.find(mark, at);
    if (at == text.npos) return {};
    if (at > 0 && text[at - 1] != '\n') continue;
    const size_t line_end = std::min(text.find("\r\n", at), text.size());
    auto rest = text.substr(at + mark.size(), line_end - at - mark.size());
    const bool is_last = rest.starts_with("--");
    if (is_last) rest.remove_prefix(2);
    // Blanks may follow; anything else is another boundary, which this one begins.
    if (rest.find_first_not_of(" \t") != rest.npos) continue;
    return Delimiter{at, std::min(line_end + 2, text.size()), is_last};
  }
}

class TreeReader {
 public:
  explicit TreeReader(SourceText& source) : source_(source) {}

  MimePart read(std::string_view raw, Header header, const MimePart* parent, unsigned depth) {
    MimePart part;
    part.raw = raw;
    part.header = std::move(header);
    part.is_sealed = parent != nullptr && parent->is_sealed;
    if (parent != nullptr) part.boundary_bytes_min = parent->boundary_bytes_min;
    const auto* type = part.header.find("Content-Type");
    part.has_content_type = type != nullptr;
    if (type != nullptr) part.content_type = parse_parameterized(type->value);
    if (part.content_type.value.find('/') == std::string::npos) {
      const bool digest = parent != nullptr && parent->content_type.value == "multipart/digest";
      part.content_type.value = part.content_type.raw_value =
          digest ? "message/rfc822" : "text/plain";
    }
    if (const auto* encoding = part.header.find("Content-Transfer-Encoding")) {
      part.encoding_name = parse_parameterized(encoding->value).value;
    }
    part.encoding = encoding_of(part.encoding_name);
    if (part.content_type.value.starts_with("multipart/")) read_parts(part, depth);
    return part;
  }

 private:
  static TransferEncoding encoding_of(std::string_view name) {
    if (name == "quoted-printable") return TransferEncoding::quoted_printable;
    if (name == "base64") return TransferEncoding::base64;
    const bool identity = name.empty() || name == "7bit" || name == "8bit" || name == "binary";
    return identity ? TransferEncoding::identity : TransferEncoding::other;
  }

  void read_parts(MimePart& part, unsigned depth) {
    const auto* type = part.header.find("Content-Type");
    const std::string boundary(part.content_type.parameter("boundary"));
    if (part.content_type.value == "multipart/signed") part.is_sealed = true;
    if (boundary.empty()) {
      return source_.fail(type->raw, fmt::format("{} without a boundary", part.content_type.value));
    }
    if (depth == mime_depth_max) {
      return source_.fail(type->raw,
                          fmt::format("MIME parts nested deeper than {}", mime_depth_max));
    }
    // What is in it sees this boundary too.
    const size_t outer = part.boundary_bytes_min;
    part.boundary_bytes_min = outer == 0 ? boundary.size() : std::min(outer, boundary.size());
    const auto body = part.header.body;
    size_t done = 0;
    auto delimiter = find_delimiter(body, 0, boundary);
    if (!delimiter || delimiter->is_last) {
      return source_.fail(type->raw, fmt::format("boundary \"{}\" of {} begins no part", boundary,
                                                 part.content_type.value));
    }
    while (delimiter && !delimiter->is_last) {
      const size_t begin = delimiter->end;
      delimiter = find_delimiter(body, begin, boundary);
      // The CRLF before a delimiter belongs to it.
      const size_t end = !delimiter                      ? body.size()
                         : delimiter->begin >= begin + 2 ? delimiter->begin - 2
                                                         : begin;
      part.between.push_back(body.substr(done, begin - done));
      const auto raw = body.substr(begin, end - begin);
      part.parts.push_back(
          read(raw, parse_header(raw, HeaderPlace::part, source_), &part, depth + 1));
      done = end;
    }
    part.between.push_back(body.substr(done));
  }

  SourceText& source_;
};

}  // namespace

MimePart parse_mime(std::string_view raw, Header header, SourceText& source) {
  return TreeReader(source).read(raw, std::move(header), nullptr, 0);
}

}  // namespace sluice::engine::mail
