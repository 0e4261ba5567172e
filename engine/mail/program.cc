#include "engine/mail/program.h"

#include <algorithm>

#include "engine/leb128.h"

namespace sluice::engine::mail {
namespace {

constexpr uint8_t version = 1;

enum class Scope : uint8_t { message, field, element };

// Checks [begin, end) as the content of a message, a field or an element. Depth: 3.
bool is_well_formed(const Program& program, uint32_t begin, uint32_t end, Scope scope) {
  const auto& code = program.code;
  std::vector<uint32_t> section_ends;
  const auto limit = [&] { return section_ends.empty() ? end : section_ends.back(); };
  for (uint32_t at = begin; at < end;) {
    const auto& instruction = code[at];
    const uint16_t column = instruction.column;
    const bool column_known = column < program.columns || column == address_column;
    switch (instruction.op) {
      case Op::literal:
        if (scope == Scope::field || instruction.b == 0 ||
            instruction.a > program.literals.size() ||
            instruction.b > program.literals.size() - instruction.a) {
          return false;
        }
        ++at;
        break;
      case Op::slot:
        if (scope == Scope::field || instruction.kind >= escape_count ||
            is_body_escape(instruction.escape()) != (scope == Scope::message) ||
            !(column_known || (column == number_column && scope == Scope::element))) {
          return false;
        }
        ++at;
        break;
      case Op::section:
      case Op::inverted:
        if (!column_known || instruction.a <= at || instruction.a > limit()) return false;
        section_ends.push_back(instruction.a);
        ++at;
        break;
      case Op::field: {
        const uint32_t field_end = instruction.a;
        if (scope != Scope::message || field_end < at + 2 || field_end > limit() ||
            code[at + 1].op != Op::literal ||
            !is_well_formed(program, at + 1, at + 2, Scope::element) ||
            !is_well_formed(program, at + 2, field_end, Scope::field)) {
          return false;
        }
        at = field_end;
        break;
      }
      case Op::element:
        if (scope != Scope::field || instruction.kind >= layout_count || instruction.a <= at ||
            instruction.a > limit() ||
            !is_well_formed(program, at + 1, instruction.a, Scope::element)) {
          return false;
        }
        at = instruction.a;
        break;
    }
    while (!section_ends.empty() && section_ends.back() <= at) section_ends.pop_back();
  }
  return true;
}

}  // namespace

bool Program::is_well_formed() const {
  const auto size = static_cast<uint32_t>(code.size());
  if (message_end > size || columns > columns_max || newline_forbidden.size() != columns)
    return false;
  const auto& id =
      code.empty() ? Instruction{} : code[std::min<size_t>(message_id, code.size() - 1)];
  if (message_id != 0 && (message_id >= message_end || id.op != Op::element)) return false;
  return mail::is_well_formed(*this, 0, message_end, Scope::message) &&
         mail::is_well_formed(*this, message_end, size, Scope::element);
}

bool Program::is_personal() const {
  return std::ranges::any_of(code, [](const Instruction& i) {
    return i.op == Op::slot || i.op == Op::section || i.op == Op::inverted;
  });
}

void Program::derive() {
  bool address = false;
  for (uint32_t at = 0, field_end = 0; at < message_end; ++at) {
    const auto& instruction = code[at];
    if (instruction.op == Op::field) field_end = instruction.a;
    if (instruction.op == Op::element) {
      address = instruction.layout() == Layout::angle || instruction.layout() == Layout::mailbox;
    }
    if (instruction.op == Op::literal && at < field_end) field_literal_bytes += instruction.b;
    if (instruction.op != Op::slot) continue;
    slots.push_back(instruction);
    if (address && at < field_end && instruction.column < columns) {
      address_columns.push_back(instruction.column);
    }
  }
  find_body_tail();
}

void Program::find_body_tail() {
  bool is_in_body = false, is_at_line_start = true;
  for (uint32_t at = 0; at < message_end;) {
    const Instruction& instruction = code[at];
    const bool is_field = instruction.op == Op::field;
    if (instruction.op != Op::literal && (is_in_body || !is_field)) {
      body_tail = is_in_body ? at : 0;
      return;
    }
    if (is_field) {
      at = instruction.a;  // it ends its line
      continue;
    }
    const std::string_view text = literals.substr(instruction.a, instruction.b);
    is_in_body = is_in_body || (is_at_line_start && text.starts_with("\r\n")) ||
                 text.find("\r\n\r\n") != text.npos;
    is_at_line_start = text.ends_with("\r\n");
    ++at;
  }
  body_tail = is_in_body ? message_end : 0;
}

std::string Program::encode() const {
  std::string out;
  out.push_back(static_cast<char>(version));
  out.push_back(
      static_cast<char>(has_8bit_literals | has_8bit_slots << 1 | has_utf8_envelope << 2));
  put_leb128(out, columns);
  for (const bool forbidden : newline_forbidden) out.push_back(forbidden ? 1 : 0);
  put_leb128(out, message_end);
  put_leb128(out, message_id);
  put_leb128(out, code.size());
  for (const auto& instruction : code) {
    out.push_back(static_cast<char>(instruction.op));
    out.push_back(static_cast<char>(instruction.kind));
    put_leb128(out, instruction.column);
    put_leb128(out, instruction.a);
    put_leb128(out, instruction.b);
  }
  put_leb128(out, literals.size());
  out += literals;
  return out;
}

std::optional<Program> Program::decode(spool::Bytes bytes) {
  Leb128Reader reader(bytes);
  if (reader.octet() != version) return {};
  Program program;
  const uint8_t flags = reader.octet();
  program.has_8bit_literals = (flags & 1) != 0;
  program.has_8bit_slots = (flags & 2) != 0;
  program.has_utf8_envelope = (flags & 4) != 0;
  program.columns = static_cast<uint16_t>(reader.integer(columns_max));
  for (uint16_t i = 0; i < program.columns && !reader.failed(); ++i) {
    program.newline_forbidden.push_back(reader.octet() != 0);
  }
  program.message_end = static_cast<uint32_t>(reader.integer(UINT32_MAX));
  program.message_id = static_cast<uint32_t>(reader.integer(UINT32_MAX));
  // An instruction takes 5 octets: what nobody vouches for cannot make us reserve more than a few
  // times its size.
  const uint64_t count = reader.integer(bytes.size() / 5);
  program.code.reserve(count);
  for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
    Instruction instruction;
    const uint8_t op = reader.octet();
    if (op >= op_count) return {};
    instruction.op = static_cast<Op>(op);
    instruction.kind = reader.octet();
    instruction.column = static_cast<uint16_t>(reader.integer(UINT16_MAX));
    instruction.a = static_cast<uint32_t>(reader.integer(UINT32_MAX));
    instruction.b = static_cast<uint32_t>(reader.integer(UINT32_MAX));
    program.code.push_back(instruction);
  }
  program.literals = reader.octets(reader.integer());
  if (reader.failed() || !reader.at_end() || !program.is_well_formed()) return {};
  program.derive();
  return program;
}

}  // namespace sluice::engine::mail
