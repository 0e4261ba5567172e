#include "engine/intake/networks.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "io/check.h"

namespace sluice::engine::intake {
namespace {

constexpr unsigned v4_bits = 32, v6_bits = 128, mapped_bits = 96;  // ::ffff:0:0/96, RFC 4291

bool is_mapped(const std::array<uint8_t, 16>& v6) {
  constexpr std::array<uint8_t, 12> prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return std::ranges::equal(prefix, std::span(v6).first<12>());
}

/// All bits of one address. A mapped one is what it maps.
Network whole(std::array<uint8_t, 16> octets, bool is_v4) {
  if (!is_v4 && is_mapped(octets)) {
    std::array<uint8_t, 16> mapped{};
    std::copy(octets.begin() + 12, octets.end(), mapped.begin());
    return {.address = mapped, .bits = v4_bits, .is_v4 = true};
  }
  return {
      .address = octets, .bits = static_cast<uint8_t>(is_v4 ? v4_bits : v6_bits), .is_v4 = is_v4};
}

void clear_behind(std::array<uint8_t, 16>& octets, unsigned bits) {
  for (unsigned i = bits / 8; i < octets.size(); ++i)
    octets[i] &= static_cast<uint8_t>(i > bits / 8 ? 0 : 0xff00 >> bits % 8);
}

std::string text_of(const Network& network) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(network.is_v4 ? AF_INET : AF_INET6, network.address.data(), text.data(), text.size());
  return fmt::format("{}/{}", text.data(), network.bits);
}

}  // namespace

std::expected<Network, std::string> parse_network(std::string_view text) {
  const size_t slash = std::min(text.find('/'), text.size());
  const std::string address(text.substr(0, slash));
  std::array<uint8_t, 16> octets{};
  const bool is_v4 = inet_pton(AF_INET, address.c_str(), octets.data()) == 1;
  const bool has_nul = address.find('\0') != address.npos;
  if (has_nul || (!is_v4 && inet_pton(AF_INET6, address.c_str(), octets.data()) != 1))
    return std::unexpected("is not a network; write 192.0.2.0/24, 2001:db8::/32 or one address");
  Network network = whole(octets, is_v4);
  if (slash == text.size()) return network;

  const std::string_view digits = text.substr(slash + 1);
  const unsigned bits_max = is_v4 ? v4_bits : v6_bits;
  const unsigned bits_min = network.is_v4 && !is_v4 ? mapped_bits : 0;
  unsigned bits = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, bits);
  if (error != std::errc() || stop != end || bits > bits_max || bits < bits_min)
    return std::unexpected(fmt::format(
        "has no good number of bits; behind the slash write {} to {}", bits_min, bits_max));
  network.bits = static_cast<uint8_t>(bits - bits_min);
  const Network asked = network;
  clear_behind(network.address, network.bits);
  if (network != asked)
    return std::unexpected(
        fmt::format("has bits beyond its /{}; write {}", bits, text_of(network)));
  return network;
}

Networks::Networks(std::span<const std::string> texts) {
  for (const std::string& text : texts) {
    const auto network = parse_network(text);
    CHECK(network.has_value());
    networks_.push_back(*network);
  }
}

bool Networks::contains(const io::SocketAddress& address) const {
  std::array<uint8_t, 16> octets{};
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.data());
    std::copy_n(reinterpret_cast<const uint8_t*>(&v4->sin_addr), 4, octets.begin());
  } else if (address.family() == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address.data());
    std::copy_n(v6->sin6_addr.s6_addr, 16, octets.begin());
  } else {
    return false;
  }
  const Network client = whole(octets, address.family() == AF_INET);
  return std::ranges::any_of(networks_, [&client](const Network& network) {
    if (network.is_v4 != client.is_v4) return false;
    std::array<uint8_t, 16> masked = client.address;
    clear_behind(masked, network.bits);
    return masked == network.address;
  });
}

}  // namespace sluice::engine::intake
