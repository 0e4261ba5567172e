#include "engine/campaign_message.h"

#include <optional>

#include "io/check.h"

namespace sluice::engine {
namespace {

void put_number(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_text(std::string& out, std::string_view text) {
  CHECK(text.size() <= CampaignMessage::text_bytes_max);
  put_number(out, text.size());
  out += text;
}

/// Takes numbers and texts off the front of `rest_`; after the first that is not there, nothing
/// more.
class Input {
 public:
  explicit Input(spool::Bytes bytes) : rest_(bytes) {}

  std::optional<uint64_t> number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63; shift += 7) {
      if (rest_.empty()) return std::nullopt;
      const auto octet = static_cast<uint8_t>(rest_.front());
      rest_ = rest_.subspan(1);
      value |= uint64_t{octet & 0x7fu} << shift;
      if ((octet & 0x80) == 0) return value;
    }
    return std::nullopt;
  }

  bool text(std::string_view& out) {
    const auto bytes = number();
    if (!bytes || *bytes > CampaignMessage::text_bytes_max || *bytes > rest_.size()) return false;
    out = {reinterpret_cast<const char*>(rest_.data()), static_cast<size_t>(*bytes)};
    rest_ = rest_.subspan(out.size());
    return true;
  }

  spool::Bytes rest() const { return rest_; }

 private:
  spool::Bytes rest_;
};

}  // namespace

std::expected<CampaignMessage, spool::ErrorCode> CampaignMessage::decode(spool::Bytes bytes) {
  constexpr std::unexpected damaged(spool::ErrorCode::damaged);
  Input input(bytes);
  const auto written_by = input.number();
  if (!written_by || *written_by == 0) return damaged;
  if (*written_by > version) return std::unexpected(spool::ErrorCode::newer_version);

  CampaignMessage message;
  const auto flags = input.number();
  if (!flags || *flags > UINT8_MAX) return damaged;
  message.recipients_need = static_cast<uint8_t>(*flags);
  if (!input.text(message.next_hop) || !input.text(message.sender) ||
      !input.text(message.message_id_domain)) {
    return damaged;
  }
  const auto columns = input.number();
  if (!columns || *columns == 0 || *columns > columns_max) return damaged;
  message.columns.resize(static_cast<size_t>(*columns));
  for (std::string_view& column : message.columns) {
    if (!input.text(column)) return damaged;
  }
  message.content = input.rest();
  return message;
}

std::string CampaignMessage::encode() const {
  CHECK(!columns.empty() && columns.size() <= columns_max);
  std::string out;
  out.reserve(content.size() + 512);
  put_number(out, version);
  put_number(out, recipients_need);
  put_text(out, next_hop);
  put_text(out, sender);
  put_text(out, message_id_domain);
  put_number(out, columns.size());
  for (const std::string_view column : columns) put_text(out, column);
  out.append(reinterpret_cast<const char*>(content.data()), content.size());
  return out;
}

}  // namespace sluice::engine
