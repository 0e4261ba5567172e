#include "engine/mail/notice.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "engine/mail/charset.h"
#include "engine/mail/date_text.h"
#include "engine/mail/harmless_text.h"
#include "engine/mail/header_field.h"
#include "engine/mail/notice_status.h"
#include "engine/mail/notice_text.h"
#include "engine/mail/quoted_printable.h"
#include "engine/mail/source_text.h"
#include "engine/mail/wire_line.h"
#include "engine/smtp/address_syntax.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

constexpr std::string_view empty_line = "\r\n\r\n";
/// Of a notice that is not its recipients: header, boundaries, words before and behind, the rest
/// that rounding leaves.
constexpr size_t frame_bytes_max = 8 * 1024;

/// A part of the multipart/report, header and body.
struct Part {
  std::string octets;
  bool is_8bit = false;
};

bool has_fit_lines(std::string_view text) {
  return text.find('\0') == text.npos && text == to_crlf(text) &&
         line_bytes_max(text) <= wire_line_bytes_max;
}

Part text_part(const std::string& text) {
  constexpr std::string_view type =
      "Content-Description: Notification\r\nContent-Type: text/plain; ";
  if (is_ascii(text)) return {fmt::format("{}charset=us-ascii\r\n\r\n{}", type, text)};
  return {fmt::format("{}charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                      type, encode_quoted_printable(text, true))};
}

Part status_part(const std::string& status) {
  constexpr std::string_view description = "Content-Description: Delivery report\r\n";
  if (is_ascii(status))
    return {fmt::format("{}Content-Type: message/delivery-status\r\n\r\n{}", description, status)};
  return {fmt::format("{}Content-Type: message/global-delivery-status\r\n"
                      "Content-Transfer-Encoding: 8bit\r\n\r\n{}",
                      description, status),
          true};
}

std::string_view header_of(std::string_view message) {
  const size_t end = message.find(empty_line);
  return end == message.npos ? message : message.substr(0, end + 2);
}

/// The message whole, when it can be carried so; else its header. RFC 6522 section 4 and RFC 6532
/// section 3.7 allow an encoding of the header alone, not of message/rfc822.
Part returned_part(const ReturnedMessage& returned, bool with_utf8) {
  constexpr std::string_view whole = "Content-Description: Undelivered Message\r\n";
  constexpr std::string_view headers = "Content-Description: Undelivered Message Headers\r\n";
  const std::string_view header = header_of(returned.octets);
  const bool is_plain_header = is_ascii(header), is_fit = has_fit_lines(returned.octets);
  const bool is_global = !is_plain_header && with_utf8 && is_utf8(header);
  if (returned.is_whole && is_fit && (is_plain_header || is_global)) {
    const bool is_8bit = !is_ascii(returned.octets);
    return {fmt::format("{}Content-Type: message/{}\r\n{}\r\n{}", whole,
                        is_global ? "global" : "rfc822",
                        is_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "", returned.octets),
            is_8bit};
  }
  if (has_fit_lines(header) && is_plain_header)
    return {fmt::format("{}Content-Type: text/rfc822-headers\r\n\r\n{}", headers, header)};
  if (has_fit_lines(header) && is_global)
    return {fmt::format("{}Content-Type: message/global-headers\r\n"
                        "Content-Transfer-Encoding: 8bit\r\n\r\n{}",
                        headers, header),
            true};
  return {
      fmt::format("{}Content-Type: text/rfc822-headers\r\n"
                  "Content-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                  headers, encode_quoted_printable(to_crlf(header), true))};
}

/// The message's own id, when it can stand in a header as it is.
std::string message_id_of(std::string_view header) {
  for (size_t begin = 0; begin < header.size();) {
    const size_t end = std::min(header.find("\r\n", begin), header.size());
    const std::string_view line = header.substr(begin, end - begin);
    begin = end + 2;
    const size_t colon = line.find(':');
    if (colon == line.npos || !equals_ignoring_case(line.substr(0, colon), "Message-ID")) continue;
    std::string id = unfold(line.substr(colon + 1));
    const bool is_plain = std::ranges::all_of(id, [](char c) { return c > ' ' && c <= '~'; });
    return is_plain && id.size() > 2 && id.size() <= 250 && id.front() == '<' && id.back() == '>'
               ? id
               : "";
  }
  return {};
}

class NoticeComposer {
 public:
  explicit NoticeComposer(const NoticeRequest& request)
      : request_(request), words_(request), with_utf8_(!is_ascii(request.to)) {
    CHECK(smtp::is_writable_address(request.to, true));
    if (request.returned != nullptr) returned_ = returned_part(*request.returned, with_utf8_);
  }

  std::vector<ComposedNotice> run() {
    const size_t room = notice_bytes_max - frame_bytes_max - (returned_ ? stuffed(*returned_) : 0);
    std::vector<ComposedNotice> notices;
    std::span<const NoticeRecipient> rest = request_.recipients;
    while (!rest.empty()) {
      std::string text, status;
      size_t count = 0, bytes = 0;
      for (; count < rest.size(); ++count) {
        std::string own_text, own_status;
        words_.recipient(own_text, rest[count]);
        append_recipient_status(own_status, request_, rest[count], with_utf8_);
        // One address that is not ASCII makes quoted-printable of the whole text.
        const size_t own_bytes =
            encode_quoted_printable(own_text, true).size() + 2 + stuff_dots(own_status).size();
        if (count > 0 && bytes + own_bytes > room) break;
        bytes += own_bytes;
        text += own_text;
        status += own_status;
      }
      notices.push_back(compose(text, status, rest.first(count), notices.size()));
      rest = rest.subspan(count);
    }
    return notices;
  }

 private:
  static size_t stuffed(const Part& part) { return stuff_dots(part.octets).size(); }

  ComposedNotice compose(const std::string& recipients_text, const std::string& recipients_status,
                         std::span<const NoticeRecipient> recipients, size_t number) const {
    std::string text, status;
    words_.begin(text, recipients);
    text += recipients_text;
    words_.end(text);
    append_message_status(status, request_);
    status += recipients_status;
    std::vector<Part> parts = {text_part(text), status_part(status)};
    if (returned_) parts.push_back(*returned_);

    const std::string boundary = boundary_for(parts, number);
    const bool is_8bit = std::ranges::any_of(parts, &Part::is_8bit);
    ComposedNotice notice{.content = header(boundary, is_8bit, number),
                          .needs_8bit = is_8bit || with_utf8_,
                          .needs_smtputf8 = with_utf8_};
    for (const Part& part : parts)
      notice.content += fmt::format("--{}\r\n{}\r\n", boundary, part.octets);
    notice.content += fmt::format("--{}--\r\n", boundary);
    return notice;
  }

  /// Unpredictable, and looked for all the same.
  std::string boundary_for(const std::vector<Part>& parts, size_t number) const {
    for (unsigned attempt = 0;; ++attempt) {
      std::string boundary = fmt::format("=_{:016x}.{}.{}", request_.random, number, attempt);
      const bool occurs = std::ranges::any_of(
          parts, [&](const Part& part) { return part.octets.find(boundary) != part.octets.npos; });
      if (!occurs) return boundary;
    }
  }

  std::string header(const std::string& boundary, bool is_8bit, size_t number) const {
    const std::string hostname = harmless(request_.hostname);
    std::string out;
    append_field(out, "Date", date_text(request_.now));
    append_field(out, "From", fmt::format("Mail Delivery System <MAILER-DAEMON@{}>", hostname));
    append_field(out, "To", request_.to);
    append_field(out, "Subject", words_.subject());
    append_field(out, "Message-ID",
                 fmt::format("<notice.{:016x}.{}@{}>", request_.random, number, hostname));
    // RFC 3834 section 3.1.5.
    const std::string about = request_.returned == nullptr
                                  ? std::string()
                                  : message_id_of(header_of(request_.returned->octets));
    if (!about.empty()) append_field(out, "In-Reply-To", about);
    if (!about.empty()) append_field(out, "References", about);
    append_field(out, "Auto-Submitted", "auto-replied");
    append_field(out, "MIME-Version", "1.0");
    out += fmt::format(
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{}\"\r\n",
        boundary);
    if (is_8bit) append_field(out, "Content-Transfer-Encoding", "8bit");
    return out + "\r\nThis is a report in MIME format.\r\n\r\n";
  }

  const NoticeRequest& request_;
  const NoticeText words_;
  const bool with_utf8_;
  std::optional<Part> returned_;
};

}  // namespace

ReturnedMessage read_returned(smtp::Body& body, bool full) {
  const size_t bytes_max = full ? returned_bytes_max : returned_header_bytes_max;
  ReturnedMessage returned;
  std::string& out = returned.octets;
  std::array<char, 4096> piece;
  bool at_line_start = true;
  while (true) {
    const size_t bytes = body.read(piece);
    returned.is_whole = bytes == 0 && full;
    if (bytes == 0) break;
    for (const char c : std::string_view(piece.data(), bytes)) {
      if (!(at_line_start && c == '.')) out += c;
      at_line_start = c == '\n';
    }
    if (out.size() > bytes_max) break;
    if (!full && out.find(empty_line) != out.npos) break;
  }
  if (returned.is_whole) return returned;
  const size_t header_end = out.find(empty_line);
  if (header_end != out.npos) out.resize(header_end + empty_line.size());
  if (out.size() > returned_header_bytes_max) {
    const size_t line_end = out.rfind("\r\n", returned_header_bytes_max - 2);
    out.resize(line_end == out.npos ? 0 : line_end + 2);
  }
  return returned;
}

std::vector<ComposedNotice> compose_notices(const NoticeRequest& request) {
  return NoticeComposer(request).run();
}

std::string stuff_dots(std::string_view content) {
  std::string out;
  out.reserve(content.size() + content.size() / 64);
  bool at_line_start = true;
  for (const char c : content) {
    if (at_line_start && c == '.') out += '.';
    out += c;
    at_line_start = c == '\n';
  }
  return out;
}

}  // namespace sluice::engine::mail
