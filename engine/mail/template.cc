#include "engine/mail/template.h"

#include "engine/mail/program.h"
#include "engine/mail/program_builder.h"
#include "io/check.h"

namespace sluice::engine::mail {

Template::Template(Program&& program)
    : program_(std::make_shared<const Program>(std::move(program))),
      is_personal_(program_->is_personal()) {}

Template Template::ready_made() {
  ProgramBuilder builder;
  builder.slot(0, Escape::wire);
  builder.set_has_8bit_slots();
  builder.end_message();
  return Template(std::move(builder).finish({false}));
}

Template Template::of_letters() {
  ProgramBuilder builder;
  builder.slot(0, Escape::wire);
  builder.set_has_8bit_slots();
  builder.end_message();
  builder.slot(1, Escape::none);
  return Template(std::move(builder).finish({false, true}));
}

std::optional<Template> Template::decode(spool::Bytes bytes) {
  auto program = Program::decode(bytes);
  if (!program) return {};
  return Template(std::move(*program));
}

std::string Template::encode() const { return program_->encode(); }

size_t Template::columns() const { return program_->columns; }

bool Template::forbids_newline(size_t column) const {
  CHECK(column < program_->columns);
  return program_->newline_forbidden[column];
}

bool Template::has_8bit_literals() const { return program_->has_8bit_literals; }

}  // namespace sluice::engine::mail
