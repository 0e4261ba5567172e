#pragma once

#include <string>
#include <string_view>

#include "engine/mail/columns.h"
#include "engine/mail/header_field.h"
#include "engine/mail/mustache.h"
#include "engine/mail/program_builder.h"
#include "engine/mail/source_text.h"

namespace sluice::engine::mail {

/// Is it a Message-ID (RFC 5322 section 3.6.4, liberally) that needs no encoding, folding or
/// merging?
bool is_plain_message_id(std::string_view text);

/// Compiles header fields and the sender into a program. What needs no change and has no tags stays
/// as written.
class FieldCompiler {
 public:
  FieldCompiler(SourceText& source, Columns& columns, ProgramBuilder& builder)
      : source_(source), columns_(columns), builder_(builder) {}

  void compile(const HeaderField& field);
  /// A field of our own making; `where` says whose tags they are.
  void compile_added(std::string_view name, std::string_view value, std::string_view where);
  /// Message-ID: <uid-hex.number@domain>.
  void add_message_id(uint64_t campaign_uid, std::string_view domain);
  void compile_sender(std::string_view sender);

 private:
  struct Value {
    std::string_view name;     // of the field
    std::string_view written;  // as in the source; empty outside of it
    std::string where;         // outside of the source: for errors
    std::string text;          // unfolded, encoded-words decoded
  };
  using Tokens = std::vector<MustacheToken>;

  void compile(Value& value, FieldKind kind);
  void unstructured(const Value& value, const Tokens& tokens);
  void addresses(const Value& value, const Tokens& tokens);
  void identifiers(const Value& value, const Tokens& tokens);
  void urls(const Value& value, const Tokens& tokens);

  void fail(const Value& value, std::string_view near, std::string_view text);
  std::optional<uint16_t> column_of(const Value& value, const MustacheToken& token);
  // The slot of a variable.
  void put_slot(const Value& value, const MustacheToken& token, Escape escape);
  /// Writes tokens [begin, end): text, slots and whole sections.
  void put_text(const Value& value, const Tokens& tokens, Escape escape);

  SourceText& source_;
  Columns& columns_;
  ProgramBuilder& builder_;
};

}  // namespace sluice::engine::mail
