#include "engine/dns/resolv_conf.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

namespace sluice::engine::dns {
namespace {

constexpr size_t servers_max = 3;  // MAXNS of <resolv.h>
constexpr std::string_view blanks = " \t\r";

/// Takes the first word off `line`.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::vector<io::SocketAddress> resolv_conf_servers(std::string_view text) {
  std::vector<io::SocketAddress> servers;
  while (!text.empty() && servers.size() < servers_max) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with('#') || line.starts_with(';')) continue;
    if (take_word(line) != "nameserver") continue;
    if (const auto server = io::SocketAddress::parse(fmt::format("[{}]:53", take_word(line))))
      servers.push_back(*server);
  }
  return servers;
}

std::vector<io::SocketAddress> system_servers() {
  std::ifstream file("/etc/resolv.conf");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  auto servers = resolv_conf_servers(text);
  if (servers.empty()) servers.push_back(*io::SocketAddress::parse("127.0.0.1:53"));
  return servers;
}

}  // namespace sluice::engine::dns
