#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "engine/mail/program.h"
#include "engine/mail/template.h"

namespace sluice::engine::mail {

/// A list of one recipient, and what becomes of a message for it.
struct Merging {
  std::vector<std::string> columns{"email", "name", "note"};
  std::vector<std::string> values{"ann@a.example", "Ann", "hello"};
  std::string sender = "bounce@news.example";
  std::string unsubscribe_url;
  bool has_statistics = true;
  uint32_t number = 7;
  size_t room = 4096;  // of each read

  TemplateInput input(std::string_view message) const {
    TemplateInput input;
    input.message = message;
    input.path = "m.eml";
    input.columns = columns;
    input.sender = sender;
    input.unsubscribe_url = unsubscribe_url;
    input.message_id_domain = "news.example";
    input.campaign_uid = 0xabc;
    input.date = io::WallTime(std::chrono::seconds(1763790000));
    for (const auto& value : has_statistics ? values : std::vector<std::string>{}) {
      const auto has_8bit = [](char c) { return (c & 0x80) != 0; };
      input.statistics.push_back({.bytes_max = static_cast<uint32_t>(value.size()),
                                  .has_8bit = std::ranges::any_of(value, has_8bit),
                                  .has_newline = value.find_first_of("\r\n") != value.npos});
    }
    return input;
  }

  Recipient recipient() const {
    Recipient r;
    r.flags = Recipient::is_plain;
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] == "email") {
        r.address = values[i];
      } else {
        r.fields.push_back(values[i]);
      }
      for (const char c : values[i]) {
        if ((c & 0x80) != 0) r.flags |= Recipient::needs_8bit;
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                           std::string_view(" .,@_+-").find(c) != std::string_view::npos;
        if (!plain) r.flags &= static_cast<uint8_t>(~Recipient::is_plain);
      }
    }
    return r;
  }

  Template compiled(std::string_view message) const {
    auto result = Template::compile(input(message));
    if (!result) ADD_FAILURE() << (result.error().empty() ? "no error" : result.error()[0].text);
    if (!result) return *Template::compile(input("From: a@b.example\n\n"));
    return std::move(*result);
  }

  static std::string read_all(Merge& merge, size_t room) {
    std::string out, piece(room, '\0');
    while (const size_t bytes = merge.read(piece)) out.append(piece, 0, bytes);
    return out;
  }

  /// What goes on the wire.
  std::string wire(std::string_view message) const {
    const auto t = compiled(message);
    const auto r = recipient();
    Merge merge;
    merge.begin(t, r, number);
    auto out = read_all(merge, room);
    EXPECT_GE(static_cast<double>(merge.bytes_estimate()), 0.9 * static_cast<double>(out.size()));
    return out;
  }

  /// The body on the wire.
  std::string body(std::string_view message) const {
    const auto text = wire(message);
    return text.substr(text.find("\r\n\r\n") + 4);
  }

  /// The value of a header field on the wire, folds included; "-" when there is none.
  std::string header(std::string_view message, std::string_view name) const {
    const auto text = "\r\n" + wire(message);
    const auto start = "\r\n" + std::string(name) + ":";
    size_t at = text.find(start);
    if (at == text.npos || at > text.find("\r\n\r\n")) return "-";
    at += start.size();
    size_t end = text.find("\r\n", at);
    while (end + 2 < text.size() && (text[end + 2] == ' ' || text[end + 2] == '\t'))
      end = text.find("\r\n", end + 2);
    return text.substr(at, end - at);
  }

  /// `Subject: subject` for the list's recipient.
  std::string subject(std::string_view subject) const {
    return header("From: a@b.example\nSubject: " + std::string(subject) + "\n\nx\n", "Subject");
  }
  std::string to(std::string_view to) const {
    return header("From: a@b.example\nTo: " + std::string(to) + "\n\nx\n", "To");
  }

  std::vector<std::string> errors(std::string_view message) const {
    std::vector<std::string> texts;
    const auto result = Template::compile(input(message));
    if (result) return texts;
    for (const auto& error : result.error()) texts.push_back(error.text);
    return texts;
  }
};

/// What SMTP demands of a message on the wire: CRLF only, lines within 998 octets, no lone dot,
/// CRLF at the end.
inline std::string fault_of_wire(std::string_view wire) {
  if (!wire.ends_with("\r\n")) return "does not end in CRLF";
  while (!wire.empty()) {
    const size_t end = wire.find_first_of("\r\n");
    if (wire.substr(end, 2) != "\r\n") return "bare CR or LF";
    if (end > 998 + (wire.starts_with("..") ? 1 : 0)) return "line of " + std::to_string(end);
    if (wire.starts_with('.') && !wire.starts_with("..")) return "dot not stuffed";
    wire.remove_prefix(end + 2);
  }
  return "";
}

}  // namespace sluice::engine::mail
