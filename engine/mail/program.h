#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/value_escaper.h"
#include "spool/campaign.h"

namespace sluice::engine::mail {

/// How an element of a header field is laid out, folded and encoded once its text is known.
enum class Layout : uint8_t {
  unstructured,  // RFC 5322 section 3.2.5; RFC 2047 encoded-words where needed
  phrase,        // a display name: atoms, else a quoted-string, else encoded-words
  angle,         // <address>
  mailbox,       // an address, or `name <address>`
  token,         // as it is
  comma,         // between addresses: written when there is one on both sides
};
inline constexpr uint8_t layout_count = 6;

enum class Op : uint8_t {
  literal,   // octets [a, a + b) of the literals
  slot,      // the value of `column`, escaped as `kind` says
  section,   // goes to instruction a when the value of `column` is empty
  inverted,  // goes to a when it is not
  field,     // instructions up to a make one header field; kind 1: no field at all when nothing but
             // its name was written
  element,   // within a field: instructions up to a make a text that is laid out as `kind` says
};
inline constexpr uint8_t op_count = 6;

struct Instruction {
  Op op = Op::literal;
  uint8_t kind = 0;  // Escape, Layout, or of a field
  uint16_t column = 0;
  uint32_t a = 0, b = 0;

  Escape escape() const { return static_cast<Escape>(kind); }
  Layout layout() const { return static_cast<Layout>(kind); }
};

/// Columns that are no field of a recipient.
inline constexpr uint16_t address_column = 0xffff;
inline constexpr uint16_t number_column = 0xfffe;  // the recipient's number in the campaign
inline constexpr uint16_t columns_max = 0xfff0;

/// A compiled message. All jumps go forward and stay within the field or element they are in:
/// running it ends, whatever the values.
///
///   message: { literal | slot of a body escape | section | field }   field: literal { element |
///   section } element, sender: { literal | slot of another escape | section }
struct Program {
  std::string_view literals;
  std::vector<Instruction> code;  // the message, then the sender
  uint32_t message_end = 0;       // the sender is [message_end, code.size())
  uint32_t message_id = 0;        // the element that holds the Message-ID
  uint16_t columns = 0;
  bool has_8bit_literals = false;
  bool has_8bit_slots = false;          // the body takes values with octets over 127 as they are
  bool has_utf8_envelope = false;       // header literals or the sender need SMTPUTF8
  std::vector<bool> newline_forbidden;  // one a column

  // What follows from the above: see derive().
  std::vector<Instruction> slots;         // of the message
  std::vector<uint16_t> address_columns;  // columns but `email` that are written as addresses
  uint32_t field_literal_bytes = 0;       // literals that are laid out, and may grow by it
  /// Where the body begins to depend on the recipient: an instruction, or message_end. 0: it is not
  /// known where it begins.
  uint32_t body_tail = 0;

  std::shared_ptr<const std::string> storage;  // of `literals`, when they are the program's own

  /// Does what it writes depend on whom it is for?
  bool is_personal() const;

  /// Is the program of the shape above, with every reference within bounds?
  bool is_well_formed() const;
  void derive();
  void find_body_tail();

  std::string encode() const;
  /// `bytes` must outlive the program.
  static std::optional<Program> decode(spool::Bytes bytes);
};

}  // namespace sluice::engine::mail
