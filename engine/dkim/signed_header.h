#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::dkim {

/// A field that signatures cover.
struct SignedField {
  std::string_view name;   // as in h=
  std::string_view lower;  // the same in lower case
  /// Once more in h= than there are: none can be added, also where there is none (RFC 6376 section
  /// 8.15).
  bool is_oversigned;
};

/// In the order of h=. RFC 6376 section 5.4.1, what readers are shown, what decides how a body is
/// read, and what receivers ask to be signed (RFC 8058 section 4, Feedback-ID).
inline constexpr std::array<SignedField, 29> signed_fields{{
    {"From", "from", true},
    {"To", "to", true},
    {"Cc", "cc", true},
    {"Reply-To", "reply-to", true},
    {"Subject", "subject", true},
    {"Date", "date", true},
    {"Message-ID", "message-id", true},
    {"MIME-Version", "mime-version", true},
    {"Content-Type", "content-type", true},
    {"Content-Transfer-Encoding", "content-transfer-encoding", true},
    {"List-Unsubscribe", "list-unsubscribe", true},
    {"List-Unsubscribe-Post", "list-unsubscribe-post", true},
    {"Sender", "sender", false},
    {"In-Reply-To", "in-reply-to", false},
    {"References", "references", false},
    {"Content-ID", "content-id", false},
    {"Content-Description", "content-description", false},
    {"Resent-Date", "resent-date", false},
    {"Resent-From", "resent-from", false},
    {"Resent-To", "resent-to", false},
    {"Resent-Cc", "resent-cc", false},
    {"Resent-Message-ID", "resent-message-id", false},
    {"List-Id", "list-id", false},
    {"List-Help", "list-help", false},
    {"List-Subscribe", "list-subscribe", false},
    {"List-Post", "list-post", false},
    {"List-Owner", "list-owner", false},
    {"List-Archive", "list-archive", false},
    {"Feedback-ID", "feedback-id", false},
}};
inline constexpr size_t from_field = 0;

/// Those of a header's fields that signatures cover, in the canonicalization `relaxed`. Takes the
/// header in pieces split anywhere: CRLF lines, dots not stuffed, without the empty line.
class SignedHeader {
 public:
  /// A message of more is not signed: a header that is an attack costs no more.
  static constexpr size_t bytes_max = 256 * 1024, fields_max = 256;

  void clear();
  void update(std::string_view octets);
  /// Nothing follows.
  void finish();

  bool is_too_large() const { return is_too_large_; }
  /// Value of the last field of that name; "" when there is none.
  std::string_view last(size_t field) const;
  unsigned count(size_t field) const;

  /// Appends what h= holds, folded to lines of 78 octets by CRLF and a tab; the first begins at
  /// column `column`.
  void append_names(std::string& out, size_t column) const;
  /// Calls take(octets) for all that is hashed of the message's fields: `name:value` and CRLF for
  /// each, those of a name from the last to the first (RFC 6376 section 5.4.2).
  template <class Take>
  void for_each_octets(Take take) const {
    for (size_t field = 0; field < signed_fields.size(); ++field)
      for (size_t i = fields_.size(); i-- > 0;)
        if (fields_[i].field == field) {
          take(signed_fields[field].lower);
          take(":");
          take(value(fields_[i]));
          take("\r\n");
        }
  }

 private:
  enum class State : uint8_t { line_start, name, value, skipped };
  struct Field {
    uint16_t field;     // of signed_fields
    size_t begin, end;  // of values_; npos: it is under way
  };
  std::string_view value(const Field& field) const {
    return std::string_view(values_).substr(field.begin, field.end - field.begin);
  }
  void begin_line(char c);
  void take_name(char c);
  void end_name();
  size_t take_value(std::string_view octets);
  void end_field();

  State state_ = State::line_start;
  bool has_field_ = false;  // the last of fields_ is under way
  bool has_blank_ = false, is_too_large_ = false;
  std::string name_;  // lower case
  std::string values_;
  std::vector<Field> fields_;
};

}  // namespace sluice::engine::dkim
