#include "engine/campaign_message.h"

#include "engine/leb128.h"
#include "io/check.h"

namespace sluice::engine {
namespace {

constexpr uint8_t tls_is_optional = 64;  // among the flags

void put_text(std::string& out, std::string_view text) {
  CHECK(text.size() <= CampaignMessage::text_bytes_max);
  put_leb128(out, text.size());
  out += text;
}

/// An enumerator that is 0 to `last`.
template <class Enum>
Enum take_choice(Leb128Reader& reader, Enum last) {
  return static_cast<Enum>(reader.integer(static_cast<uint64_t>(last)));
}

std::string_view take_text(Leb128Reader& reader) {
  return reader.octets(reader.integer(CampaignMessage::text_bytes_max));
}

}  // namespace

std::expected<CampaignMessage, spool::ErrorCode> CampaignMessage::decode(spool::Bytes bytes) {
  constexpr std::unexpected damaged(spool::ErrorCode::damaged);
  Leb128Reader reader(bytes);
  const uint64_t written_by = reader.integer();
  if (reader.failed() || written_by == 0) return damaged;
  if (written_by > version) return std::unexpected(spool::ErrorCode::newer_version);

  CampaignMessage message;
  const auto flags = static_cast<uint8_t>(reader.integer(UINT8_MAX));
  message.recipients_need = flags & static_cast<uint8_t>(~tls_is_optional);
  message.is_tls_optional = (flags & tls_is_optional) != 0;
  message.notices = take_choice(reader, Notices::sender);
  message.priority = take_choice(reader, Priority::non_urgent);
  message.dsn.notify = static_cast<smtp::Notify>(reader.integer(smtp::notify_most));
  message.dsn.returned = take_choice(reader, smtp::ReturnedContent::full);
  message.next_hop = take_text(reader);
  message.source = take_text(reader);
  message.sender = take_text(reader);
  message.message_id_domain = take_text(reader);
  message.dsn.envelope_id = take_text(reader);
  const uint64_t columns = reader.integer(columns_max);
  if (reader.failed() || columns == 0) return damaged;
  message.columns.resize(columns);
  for (std::string_view& column : message.columns) column = take_text(reader);
  if (reader.failed()) return damaged;
  message.content = reader.rest();
  return message;
}

std::string CampaignMessage::encode() const {
  CHECK(!columns.empty() && columns.size() <= columns_max);
  std::string out;
  out.reserve(content.size() + 512);
  put_leb128(out, version);
  put_leb128(out, recipients_need | (is_tls_optional ? tls_is_optional : 0u));
  put_leb128(out, static_cast<uint8_t>(notices));
  put_leb128(out, static_cast<uint8_t>(priority));
  put_leb128(out, dsn.notify);
  put_leb128(out, static_cast<uint8_t>(dsn.returned));
  put_text(out, next_hop);
  put_text(out, source);
  put_text(out, sender);
  put_text(out, message_id_domain);
  put_text(out, dsn.envelope_id);
  put_leb128(out, columns.size());
  for (const std::string_view column : columns) put_text(out, column);
  out.append(reinterpret_cast<const char*>(content.data()), content.size());
  return out;
}

}  // namespace sluice::engine
