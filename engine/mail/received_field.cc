#include "engine/mail/received_field.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/mail/date_text.h"
#include "engine/smtp/address_syntax.h"
#include "io/check.h"

namespace sluice::engine::mail {
namespace {

/// A domain or an address literal by its characters (RFC 5321 section 4.1.2 and 3), and `_`, which
/// names of hosts have all the same.
bool is_host(std::string_view text) {
  constexpr std::string_view characters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:";
  constexpr size_t bytes_max = 255;
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  return !text.empty() && text.size() <= bytes_max &&
         text.find_first_not_of(characters) == text.npos;
}

}  // namespace

std::string address_literal(const io::SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.family() == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address.data());
    CHECK(inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size()) != nullptr);
    return fmt::format("[{}]", text.data());
  }
  CHECK(address.family() == AF_INET6);
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6*>(address.data())->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    CHECK(inet_ntop(AF_INET, v6.s6_addr + 12, text.data(), text.size()) != nullptr);
    return fmt::format("[{}]", text.data());
  }
  CHECK(inet_ntop(AF_INET6, &v6, text.data(), text.size()) != nullptr);
  return fmt::format("[IPv6:{}]", text.data());
}

void append_received(std::string& out, const Received& received) {
  const auto to = std::back_inserter(out);
  const std::string literal = address_literal(received.client);
  const std::string_view name = is_host(received.client_name) ? received.client_name : literal;
  fmt::format_to(to, "Received: from {} ({})\r\n", name, literal);
  if (!received.tls.empty()) fmt::format_to(to, "\t(using {})\r\n", received.tls);
  fmt::format_to(to, "\tby {} with {} id {}", received.hostname, received.protocol, received.id);
  const bool is_utf8 = received.protocol.starts_with("UTF8");
  if (smtp::is_writable_address(received.recipient, is_utf8))
    fmt::format_to(to, "\r\n\tfor <{}>", received.recipient);
  fmt::format_to(to, ";\r\n\t{}\r\n", date_text(received.time));
}

}  // namespace sluice::engine::mail
