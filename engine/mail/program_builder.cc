#include "engine/mail/program_builder.h"

#include <algorithm>

#include "engine/mail/charset.h"
#include "engine/mail/header_writer.h"
#include "io/check.h"

namespace sluice::engine::mail {

bool ProgramBuilder::continues_literal() const {
  const auto& code = program_.code;
  return code.size() > label_ && code.back().op == Op::literal &&
         code.back().a + code.back().b == literals_.size();
}

void ProgramBuilder::append(std::string_view octets) {
  if (octets.empty()) return;
  auto& code = program_.code;
  if (continues_literal()) {
    code.back().b += static_cast<uint32_t>(octets.size());
  } else {
    code.push_back({Op::literal, 0, 0, static_cast<uint32_t>(literals_.size()),
                    static_cast<uint32_t>(octets.size())});
  }
  literals_ += octets;
}

void ProgramBuilder::wire(std::string_view text) {
  if (text.empty()) return;
  if (!is_ascii(text)) program_.has_8bit_literals = true;
  // At the start of a literal Merge looks itself.
  if (text.front() == '.' && continues_literal() && literals_.back() == '\n') append(".");
  for (;;) {
    const size_t dot = text.find("\n.");
    if (dot == text.npos) break;
    append(text.substr(0, dot + 2));
    append(".");
    text.remove_prefix(dot + 2);
  }
  append(text);
}

void ProgramBuilder::text(std::string_view text) { append(text); }

void ProgramBuilder::slot(uint16_t column, Escape escape) {
  program_.code.push_back({Op::slot, static_cast<uint8_t>(escape), column, 0, 0});
}

uint32_t ProgramBuilder::begin(Instruction instruction) {
  program_.code.push_back(instruction);
  label_ = static_cast<uint32_t>(program_.code.size());
  return label_ - 1;
}

uint32_t ProgramBuilder::begin_section(Op op, uint16_t column) {
  return begin({op, 0, column, 0, 0});
}

uint32_t ProgramBuilder::begin_field(std::string_view name, bool may_be_omitted) {
  const uint32_t number = begin({Op::field, static_cast<uint8_t>(may_be_omitted), 0, 0, 0});
  append(name);
  label_ = number + 2;
  return number;
}

uint32_t ProgramBuilder::begin_element(Layout layout) {
  return begin({Op::element, static_cast<uint8_t>(layout), 0, 0, 0});
}

void ProgramBuilder::end(uint32_t number) {
  label_ = static_cast<uint32_t>(program_.code.size());
  program_.code[number].a = label_;
}

void ProgramBuilder::end_field(uint32_t number) {
  end(number);
  auto& code = program_.code;
  const auto is_dynamic = [](const Instruction& i) {
    return i.op == Op::slot || i.op == Op::section || i.op == Op::inverted;
  };
  if (std::any_of(code.begin() + number, code.end(), is_dynamic)) return;
  const auto literal = [&](uint32_t at) {
    return std::string_view(literals_).substr(code[at].a, code[at].b);
  };
  std::string field(literal(number + 1)), text;
  HeaderWriter writer(field, 0);
  for (uint32_t at = number + 2; at < code.size();) {
    CHECK(code[at].op == Op::element);
    text.clear();
    for (uint32_t inner = at + 1; inner < code[at].a; ++inner) text += literal(inner);
    writer.element(text, code[at].layout());
    at = code[at].a;
  }
  writer.finish();
  if (writer.is_empty() && code[number].kind != 0) field.clear();
  literals_.resize(code[number + 1].a);
  code.resize(number);
  label_ = number;
  wire(field);
}

void ProgramBuilder::keep_message_id(std::string_view name, std::string_view id) {
  const uint32_t field = begin_field(std::string(name) + ":", false);
  const uint32_t element = begin_element(Layout::token);
  text(id);
  end(element);
  end(field);  // not end_field(), which would make octets of it
  set_message_id(element);
}

void ProgramBuilder::end_message() {
  program_.message_end = static_cast<uint32_t>(program_.code.size());
  label_ = program_.message_end;
}

Program ProgramBuilder::finish(std::vector<bool> newline_forbidden) && {
  program_.columns = static_cast<uint16_t>(newline_forbidden.size());
  program_.newline_forbidden = std::move(newline_forbidden);
  program_.storage = std::make_shared<const std::string>(std::move(literals_));
  program_.literals = *program_.storage;
  program_.derive();
  CHECK(program_.is_well_formed());
  return std::move(program_);
}

}  // namespace sluice::engine::mail
