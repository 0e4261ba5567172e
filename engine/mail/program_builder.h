#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/mail/program.h"

namespace sluice::engine::mail {

/// Writes a Program from front to back.
class ProgramBuilder {
 public:
  /// Octets of the message in CRLF lines; dots at line starts are stuffed (RFC 5321 section 4.5.2),
  /// but one that begins a literal: behind a slot only Merge knows where a line begins.
  void wire(std::string_view text);
  /// Octets within a field or the sender.
  void text(std::string_view text);
  void slot(uint16_t column, Escape escape);

  /// Begins a section, field or element; its number is given back to end(). A field's `name` is
  /// with its colon.
  uint32_t begin_section(Op op, uint16_t column);
  uint32_t begin_field(std::string_view name, bool may_be_omitted);
  uint32_t begin_element(Layout layout);
  void end(uint32_t number);
  /// Ends a field; one whose text is known already becomes octets.
  void end_field(uint32_t number);

  /// The field of a Message-ID that is the same for all: known as such. `name` as it is written.
  void keep_message_id(std::string_view name, std::string_view id);

  void end_message();
  void set_message_id(uint32_t element) { program_.message_id = element; }
  bool has_message_id() const { return program_.message_id != 0; }
  void set_has_8bit_slots() { program_.has_8bit_slots = true; }
  void set_has_utf8_envelope() { program_.has_utf8_envelope = true; }

  Program finish(std::vector<bool> newline_forbidden) &&;

 private:
  bool continues_literal() const;
  void append(std::string_view octets);
  uint32_t begin(Instruction instruction);

  Program program_;
  std::string literals_;
  uint32_t label_ = 0;  // a jump ends here: no literal goes on across it
};

}  // namespace sluice::engine::mail
