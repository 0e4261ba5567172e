#include "engine/mail/local_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "engine/mail/address_list.h"
#include "engine/mail/date_text.h"
#include "engine/mail/header_writer.h"
#include "engine/mail/source_text.h"
#include "engine/mail/wire_line.h"

namespace sluice::engine::mail {
namespace {

bool is_one_of(const HeaderField& field, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(names, [&](std::string_view name) { return field.is(name); });
}

/// Where to cut `line`, of which `bytes_max` octets fit: not within a character of UTF-8.
size_t cut_of(std::string_view line, size_t bytes_max) {
  constexpr size_t continuations_max = 3;
  size_t cut = bytes_max;
  while (bytes_max - cut < continuations_max && (line[cut] & 0xc0) == 0x80) --cut;
  return (line[cut] & 0xc0) == 0x80 ? bytes_max : cut;
}

void append_cut(std::string& out, std::string_view text) {
  if (line_bytes_max(text) <= wire_line_bytes_max) {
    out += text;
    return;
  }
  while (!text.empty()) {
    const size_t end = std::min(text.find("\r\n"), text.size());
    std::string_view line = text.substr(0, end);
    for (size_t room = wire_line_bytes_max; line.size() > room; room = wire_line_bytes_max - 1) {
      const size_t cut = cut_of(line, room);
      out += line.substr(0, cut);
      out += "\r\n ";
      line.remove_prefix(cut);
    }
    out += line;
    out += text.substr(end, 2);
    text.remove_prefix(std::min(end + 2, text.size()));
  }
}

std::string from_field(std::string name, std::string address) {
  std::string out = "From:";
  HeaderWriter writer(out, 0);
  writer.element(name, Layout::phrase);
  writer.element(address, Layout::angle);
  writer.finish();
  return out;
}

}  // namespace

LocalMessage::LocalMessage(std::string_view octets) : text_(to_crlf(octets)) {
  std::erase(text_, '\0');
  // What mbox files put before each message.
  if (text_.starts_with("From "))
    text_.erase(0, std::min(text_.find("\r\n"), text_.size() - 2) + 2);
  header_ = scan_header(text_);
}

std::expected<std::vector<std::string>, std::string> LocalMessage::recipients() const {
  const bool is_resent = std::ranges::any_of(header_.fields, [](const HeaderField& field) {
    return is_one_of(field, {"Resent-To", "Resent-Cc", "Resent-Bcc"});
  });
  std::vector<std::string> all;
  for (const HeaderField& field : header_.fields) {
    if (is_resent ? !is_one_of(field, {"Resent-To", "Resent-Cc", "Resent-Bcc"})
                  : !is_one_of(field, {"To", "Cc", "Bcc"}))
      continue;
    const auto addresses = parse_address_list(field.value);
    if (!addresses) {
      const char* const place = field.value.data() + addresses.error().offset;
      return std::unexpected(fmt::format("line {}: {}: {}",
                                         1 + std::count(text_.data(), place, '\n'), field.name,
                                         addresses.error().reason));
    }
    all.insert(all.end(), addresses->begin(), addresses->end());
  }
  return all;
}

std::string LocalMessage::complete(const MissingFields& missing) const {
  std::string out;
  out.reserve(text_.size() + text_.size() / 64 + 512);
  for (const HeaderField& field : header_.fields) {
    if (is_one_of(field, {"Bcc", "Resent-Bcc", "Return-Path"})) continue;
    append_cut(out, field.raw);
    if (!field.raw.ends_with('\n')) out += "\r\n";
  }
  if (header_.find("From") == nullptr) out += from_field(missing.name, missing.address);
  if (header_.find("Date") == nullptr) out += fmt::format("Date: {}\r\n", date_text(missing.date));
  if (header_.find("Message-ID") == nullptr)
    out += fmt::format("Message-ID: {}\r\n", missing.message_id);
  out += "\r\n";
  append_cut(out, header_.body);
  if (!out.ends_with('\n')) out += "\r\n";
  return out;
}

}  // namespace sluice::engine::mail
