#include "engine/mail/mime_field.h"

#include "engine/mail/charset.h"
#include "engine/mail/header_writer.h"
#include "engine/mail/value_escaper.h"

namespace sluice::engine::mail {

std::string mime_field(std::string_view name, const ParameterizedValue& value) {
  std::string field(name);
  field.push_back(':');
  HeaderWriter writer(field, 0);
  for (size_t i = 0; i <= value.parameters.size(); ++i) {
    std::string piece;
    if (i == 0) {
      piece = value.raw_value;
    } else if (const auto& parameter = value.parameters[i - 1]; is_ascii(parameter.raw)) {
      piece = parameter.raw;
    } else {
      piece = parameter.name + "*=utf-8''";
      escape_into(piece, parameter.value, Escape::url);
    }
    if (i < value.parameters.size()) piece.push_back(';');
    writer.element(piece, Layout::token);
  }
  writer.finish();
  return field;
}

}  // namespace sluice::engine::mail
