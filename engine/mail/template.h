#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/value_escaper.h"
#include "engine/recipient.h"
#include "engine/smtp/client.h"
#include "io/clock.h"
#include "spool/campaign.h"

namespace sluice::engine::mail {

/// What the recipient list holds in one column, gathered while it is read; decides how parts are
/// encoded.
struct ColumnStatistics {
  uint32_t bytes_max = 0;
  bool has_8bit = false;     // octets over 127
  bool has_newline = false;  // CR or LF
};

struct TemplateInput {
  std::string_view message;          // RFC 5322 with Mustache tags; LF or CRLF lines
  std::string_view path;             // for errors
  std::vector<std::string> columns;  // names, `email` among them, in the order of the list
  std::vector<ColumnStatistics>
      statistics;           // one a column; empty: not known yet (a first look, for errors only)
  std::string_view sender;  // envelope sender, with tags (VERP)
  std::string_view unsubscribe_url;    // "" for none; with tags: adds List-Unsubscribe and
                                       // List-Unsubscribe-Post (RFC 8058)
  std::string_view message_id_domain;  // right side of added Message-IDs
  uint64_t campaign_uid = 0;           // in added Message-IDs
  io::WallTime date{};                 // for a missing Date
};

/// A mistake in the message: `news.eml:12: tag {{nmae}} has no column; columns are email, name`.
struct TemplateError {
  unsigned line = 0;
  std::string text;  // whole, with path and line
};

struct Program;

/// A message compiled for merging: wire form (CRLF, transfer-encoded, dot-stuffed) cut at its tags
/// into a program of literals and slots, each slot with the escaping of its place. Immutable once
/// made. Encoded form is stored in the campaign's file; a Template read from it only refers to
/// those octets.
class Template {
 public:
  static constexpr size_t message_bytes_max = 52428800;

  static std::expected<Template, std::vector<TemplateError>> compile(const TemplateInput& input);

  /// A message that goes out as it is: complete, CRLF lines, not stuffed; what looks like a tag in
  /// it, or in `sender`, is content. The same for all recipients.
  static Template literal(std::string_view message, std::string_view sender);

  /// For messages that are ready before they are spooled, one a recipient: the only field (besides
  /// `email`) holds the whole message in wire form, and the sender is the null sender. The field
  /// may have 8-bit octets when its recipient says needs_8bit.
  static Template ready_made();
  /// The same with the sender in a second field: for letters.
  static Template of_letters();

  /// Reads what encode() wrote; `bytes` must outlive the Template. nullopt when it is damaged or of
  /// a newer version.
  static std::optional<Template> decode(spool::Bytes bytes);
  std::string encode() const;

  size_t columns() const;  // but `email`: the number of fields of each Recipient
  /// May column (index among columns but `email`) hold CR or LF? Not when a tag puts it into a
  /// header, the sender or the unsubscribe URL.
  bool forbids_newline(size_t column) const;

  bool has_8bit_literals() const;
  /// Do sender or message depend on the recipient? Not when nothing of them has a tag, and the
  /// message brought what else would be added for each: its Message-ID and To. O(1).
  bool is_personal() const { return is_personal_; }

  const Program& program() const { return *program_; }

 private:
  explicit Template(Program&& program);

  std::shared_ptr<const Program> program_;
  bool is_personal_;
};

/// Merges one recipient into a template: the Body of an SMTP transaction. A value in the session's
/// memory, reused from message to message; reads of the template are shared by all. Filling slots
/// and copying, nothing more: no allocation in steady state.
class Merge final : public smtp::Body {
 public:
  /// Both are borrowed until the last read(). `number` is the recipient's number in the campaign
  /// (part of its Message-ID).
  void begin(const Template& t, const Recipient& recipient, uint32_t number);
  size_t read(std::span<char> out) override;

  /// read() ends before that instruction of the program, which is of the message itself and none
  /// of a field or section, or its end.
  void pause_at(uint32_t instruction) { pause_ = instruction; }
  /// Goes on at that instruction, up to the end; what was written before it ended a line, or not.
  void go_on_at(uint32_t instruction, bool is_at_line_start);

  /// Estimate of the octets on the wire, never less than 90 % of the truth; O(fields).
  uint64_t bytes_estimate() const;

  /// The envelope sender for this recipient, written to `out` (replaced).
  void sender(std::string& out) const;
  /// The Message-ID, with <>, for the log, written to `out` (replaced).
  void message_id(std::string& out) const;
  bool needs_8bitmime() const;
  bool needs_smtputf8() const;

 private:
  bool step();
  void run_field(uint32_t begin, uint32_t end);
  void run_text(uint32_t begin, uint32_t end, std::string& out) const;
  std::string_view value(uint16_t column) const;
  bool takes_branch(uint32_t at) const;

  const Program* program_ = nullptr;
  const Recipient* recipient_ = nullptr;
  std::string_view
      pending_;           // what is to be written next: of the template, the recipient or scratch_
  ValueEscaper escaper_;  // the body slot under way
  uint32_t number_ = 0;
  uint32_t next_ = 0;            // instruction
  uint32_t pause_ = UINT32_MAX;  // likewise
  bool at_line_start_ = true;
  std::string scratch_;  // a header field, or a piece of an escaped value
  std::string text_;     // an element of the field before it is laid out
};

}  // namespace sluice::engine::mail
