#include "spool/campaign_name.h"

#include "spool/campaign.h"

namespace sluice::spool {
namespace {

constexpr char hex_digits[] = "0123456789ABCDEF";

bool is_plain(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

/// Length of the UTF-8 sequence (RFC 3629) at the front of `text`, whose code point is no control
/// character; 0 when there is none.
size_t printable_bytes(std::string_view text) {
  const auto octet = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = octet(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  const size_t bytes = lead >= 0xc2 && lead <= 0xdf   ? 2
                       : lead >= 0xe0 && lead <= 0xef ? 3
                       : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                      : 0;
  for (size_t i = 1; i < bytes; ++i)
    if ((octet(i) & 0xc0) != 0x80) return 0;
  const unsigned second = octet(1);
  const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_surrogate = lead == 0xed && second >= 0xa0;
  const bool is_beyond = lead == 0xf4 && second >= 0x90;
  const bool is_control = lead == 0xc2 && second < 0xa0;  // C1
  return is_overlong || is_surrogate || is_beyond || is_control ? 0 : bytes;
}

}  // namespace

bool is_campaign_id(std::string_view id) {
  if (id.empty() || id.size() > campaign_id_bytes_max) return false;
  while (!id.empty()) {
    const size_t bytes = printable_bytes(id);
    if (bytes == 0) return false;
    id.remove_prefix(bytes);
  }
  return true;
}

std::string campaign_file_name(std::string_view id) {
  std::string name;
  for (size_t i = 0; i < id.size(); ++i) {
    const char c = id[i];
    if (is_plain(c) && !(c == '.' && i == 0)) {
      name += c;
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    name += {'%', hex_digits[octet >> 4], hex_digits[octet & 15]};
  }
  return name;
}

std::optional<std::string> campaign_id(std::string_view file_name) {
  std::string id;
  for (size_t i = 0; i < file_name.size(); ++i) {
    if (file_name[i] != '%') {
      id += file_name[i];
      continue;
    }
    const std::string_view digits = hex_digits;
    const size_t high = i + 1 < file_name.size() ? digits.find(file_name[i + 1]) : digits.npos;
    const size_t low = i + 2 < file_name.size() ? digits.find(file_name[i + 2]) : digits.npos;
    if (high == digits.npos || low == digits.npos) return std::nullopt;
    id += static_cast<char>(high << 4 | low);
    i += 2;
  }
  if (!is_campaign_id(id) || campaign_file_name(id) != file_name) return std::nullopt;
  return id;
}

}  // namespace sluice::spool
