#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/mustache.h"
#include "engine/mail/program_builder.h"

namespace sluice::engine::mail {

/// Compiles an address list (RFC 5322 section 3.4) with tags into elements of the field that
/// `builder` is at: a tag is a name, or part of one, where a phrase may stand, and an address
/// within <> or where no name can be. Sections hold whole addresses, or lie within a name or an
/// address.
class AddressCompiler {
 public:
  struct Hooks {
    std::function<std::optional<uint16_t>(const MustacheToken&)>
        column_of;  // of a tag; its error is told
    std::function<void(const MustacheToken&)> forbid_newline;
    std::function<void(std::string_view text)> fail;
  };

  AddressCompiler(ProgramBuilder& builder, Hooks hooks)
      : builder_(builder), hooks_(std::move(hooks)) {}

  void run(const std::vector<MustacheToken>& tokens);

 private:
  // Text, or a tag. A name's text is without quotes, an address's with them.
  struct Piece {
    MustacheToken token;
    std::string as_name, as_address;
  };

  void take(char c);
  void take_within_quotes(char c);
  void take_within_comment(char c);
  void put(char c, bool in_name, bool in_address);
  void end_run(Layout layout);
  void put_element(Layout layout, size_t begin, size_t end);
  void put_border(const Piece& piece);
  void put_token(std::string_view text);
  std::vector<bool> unmatched_borders() const;

  ProgramBuilder& builder_;
  Hooks hooks_;
  std::vector<Piece> run_;          // since the last syntax
  std::vector<uint32_t> sections_;  // open around elements
  std::string comment_;
  unsigned comment_depth_ = 0;
  bool in_quotes_ = false, in_angle_ = false, after_backslash_ = false;
};

}  // namespace sluice::engine::mail
