#include <array>
#include <charconv>
#include <cstring>

#include "engine/mail/header_writer.h"
#include "engine/mail/program.h"
#include "engine/mail/template.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

// A session keeps its Merge from message to message; one long value must not stay with it.
constexpr size_t scratch_bytes_kept = 8192;

void shrink(std::string& scratch) {
  scratch.clear();
  if (scratch.capacity() > scratch_bytes_kept) scratch.shrink_to_fit();
}

void append_number(std::string& out, uint32_t number) {
  std::array<char, 10> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

bool has_8bit(std::string_view text) {
  for (const char c : text) {
    if ((c & 0x80) != 0) return true;
  }
  return false;
}

// Encoded-words of whole characters take at most 78 octets, with their fold, for 42; =XX and %XX
// three for one.
constexpr uint64_t header_bytes_max(uint64_t value_bytes) { return 3 * value_bytes + 40; }

}  // namespace

void Merge::begin(const Template& t, const Recipient& recipient, uint32_t number) {
  program_ = &t.program();
  recipient_ = &recipient;
  CHECK(recipient.fields.size() == program_->columns);
  number_ = number;
  next_ = 0;
  pause_ = UINT32_MAX;
  pending_ = {};
  escaper_ = {};
  at_line_start_ = true;
  shrink(scratch_);
  shrink(text_);
}

void Merge::go_on_at(uint32_t instruction, bool is_at_line_start) {
  next_ = instruction;
  pause_ = UINT32_MAX;
  pending_ = {};
  at_line_start_ = is_at_line_start;
}

size_t Merge::read(std::span<char> out) {
  size_t written = 0;
  while (written < out.size()) {
    if (pending_.empty() && !step()) break;
    const size_t bytes = std::min(pending_.size(), out.size() - written);
    std::memcpy(out.data() + written, pending_.data(), bytes);
    written += bytes;
    pending_.remove_prefix(bytes);
  }
  return written;
}

std::string_view Merge::value(uint16_t column) const {
  return column == address_column ? recipient_->address : recipient_->fields[column];
}

// Of the section that begins at `at`: are its instructions run?
bool Merge::takes_branch(uint32_t at) const {
  const auto& instruction = program_->code[at];
  return value(instruction.column).empty() == (instruction.op == Op::inverted);
}

// Makes pending_ hold octets; false at the end of the message.
bool Merge::step() {
  const auto set = [this](std::string_view octets) {
    pending_ = octets;
    at_line_start_ = octets.back() == '\n';
    return true;
  };
  for (;;) {
    while (!escaper_.is_done()) {
      scratch_.clear();
      escaper_.next(scratch_, at_line_start_);
      if (!scratch_.empty()) return set(scratch_);
    }
    if (next_ == pause_) return false;
    if (next_ == program_->message_end) {
      // RFC 5321 section 4.1.1.4: the final dot stands on a line of its own.
      return at_line_start_ ? false : set("\r\n");
    }
    const auto& instruction = program_->code[next_];
    switch (instruction.op) {
      case Op::literal: {
        const auto octets = program_->literals.substr(instruction.a, instruction.b);
        // A slot or section before it decided whether it begins a line (RFC 5321 section 4.5.2).
        if (at_line_start_ && octets.front() == '.') return set(".");
        ++next_;
        return set(octets);
      }
      case Op::slot: {
        ++next_;
        const auto octets = value(instruction.column);
        if (octets.empty()) break;
        const bool copied =
            instruction.escape() == Escape::wire ||
            ((recipient_->flags & Recipient::is_plain) != 0 &&
             instruction.escape() <= Escape::html && !(at_line_start_ && octets.front() == '.'));
        if (copied) return set(octets);
        escaper_.begin(octets, instruction.escape());
        break;
      }
      case Op::section:
      case Op::inverted: next_ = takes_branch(next_) ? next_ + 1 : instruction.a; break;
      case Op::field:
        run_field(next_, instruction.a);
        next_ = instruction.a;
        if (!scratch_.empty()) return set(scratch_);
        break;
      case Op::element: CHECK(false);  // Program::is_well_formed()
    }
  }
}

// Writes a header field into scratch_: nothing when it came to nothing and may be left out.
void Merge::run_field(uint32_t begin, uint32_t end) {
  const auto& code = program_->code;
  const auto& name = code[begin + 1];
  scratch_.assign(program_->literals, name.a, name.b);
  HeaderWriter writer(scratch_, 0);
  for (uint32_t at = begin + 2; at < end;) {
    const auto& instruction = code[at];
    switch (instruction.op) {
      case Op::element:
        text_.clear();
        run_text(at + 1, instruction.a, text_);
        writer.element(text_, instruction.layout());
        at = instruction.a;
        break;
      case Op::section:
      case Op::inverted: at = takes_branch(at) ? at + 1 : instruction.a; break;
      default:           CHECK(false);
    }
  }
  if (writer.is_empty() && code[begin].kind != 0) {
    scratch_.clear();
    return;
  }
  writer.finish();
  if (scratch_.front() == '.') scratch_.insert(0, 1, '.');
}

void Merge::run_text(uint32_t begin, uint32_t end, std::string& out) const {
  for (uint32_t at = begin; at < end;) {
    const auto& instruction = program_->code[at];
    switch (instruction.op) {
      case Op::literal:
        out.append(program_->literals, instruction.a, instruction.b);
        ++at;
        break;
      case Op::slot:
        if (instruction.column == number_column) {
          append_number(out, number_);
        } else {
          escape_into(out, value(instruction.column), instruction.escape());
        }
        ++at;
        break;
      case Op::section:
      case Op::inverted: at = takes_branch(at) ? at + 1 : instruction.a; break;
      default:           CHECK(false);
    }
  }
}

uint64_t Merge::bytes_estimate() const {
  const bool plain = (recipient_->flags & Recipient::is_plain) != 0;
  uint64_t bytes = 2 + program_->literals.size() + program_->field_literal_bytes;
  for (const auto& slot : program_->slots) {
    if (slot.column == number_column) {
      bytes += 10;
      continue;
    }
    const auto octets = value(slot.column);
    if (octets.empty()) continue;
    const bool body = is_body_escape(slot.escape());
    // A long word of a header is encoded though it is plain.
    if (plain && (body || octets.size() < 256)) {
      bytes += octets.size() + octets.size() / 16 + 6;
    } else {
      bytes += body ? escaped_bytes(octets, slot.escape()) : header_bytes_max(octets.size());
    }
  }
  return bytes;
}

void Merge::sender(std::string& out) const {
  out.clear();
  run_text(program_->message_end, static_cast<uint32_t>(program_->code.size()), out);
}

void Merge::message_id(std::string& out) const {
  out.clear();
  if (program_->message_id == 0) return;
  run_text(program_->message_id + 1, program_->code[program_->message_id].a, out);
}

bool Merge::needs_8bitmime() const {
  return program_->has_8bit_literals ||
         (program_->has_8bit_slots && (recipient_->flags & Recipient::needs_8bit) != 0);
}

bool Merge::needs_smtputf8() const {
  if (program_->has_utf8_envelope || (recipient_->flags & Recipient::needs_smtputf8) != 0)
    return true;
  if ((recipient_->flags & Recipient::needs_8bit) == 0) return false;
  for (const uint16_t column : program_->address_columns) {
    if (has_8bit(value(column))) return true;
  }
  return false;
}

}  // namespace sluice::engine::mail
