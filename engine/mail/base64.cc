#include "engine/mail/base64.h"

#include <array>
#include <cstdint>

namespace sluice::engine::mail {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto values = [] {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return table;
}();

}  // namespace

void append_base64(std::string& out, std::string_view octets) {
  const auto octet = [&](size_t at) {
    return static_cast<uint32_t>(static_cast<unsigned char>(octets[at]));
  };
  out.resize(out.size() + base64_bytes(octets.size()));
  char* next = out.data() + out.size() - base64_bytes(octets.size());
  const auto put = [&next](uint32_t group, unsigned digits) {
    for (unsigned i = 0; i < 4; ++i)
      *next++ = i < digits ? alphabet[group >> (18 - 6 * i) & 63] : '=';
  };
  size_t at = 0;
  for (; at + 3 <= octets.size(); at += 3)
    put(octet(at) << 16 | octet(at + 1) << 8 | octet(at + 2), 4);
  if (octets.size() - at == 1) put(octet(at) << 16, 2);
  if (octets.size() - at == 2) put(octet(at) << 16 | octet(at + 1) << 8, 3);
}

std::string encode_base64_lines(std::string_view octets) {
  constexpr size_t octets_a_line = 57;
  std::string out;
  out.reserve(base64_bytes(octets.size()) + octets.size() / octets_a_line * 2 + 2);
  for (; !octets.empty(); octets.remove_prefix(std::min(octets.size(), octets_a_line))) {
    append_base64(out, octets.substr(0, octets_a_line));
    out += "\r\n";
  }
  return out;
}

std::string decode_base64(std::string_view code) {
  std::string out;
  out.reserve(code.size() / 4 * 3);
  uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : code) {
    if (c == '=') bits = 0;
    const auto value = values[static_cast<unsigned char>(c)];
    if (value < 0) continue;
    group = group << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>(group >> bits));
    }
  }
  return out;
}

}  // namespace sluice::engine::mail
