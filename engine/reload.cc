#include "engine/reload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "io/bind_probe.h"

namespace sluice::engine {

std::vector<std::string> obstacles_to_reload(const Config& now, const Config& next) {
  std::vector<std::string> out;
  const std::string source = next.source.empty() ? "the configuration" : next.source;
  const auto must_stay = [&](const char* key, const auto& before, const auto& after) {
    if (before == after) return;
    out.push_back(fmt::format(
        "{}: {}: cannot change while the engine runs; restart it, or put back what it was", source,
        key));
  };
  must_stay("engine.hostname", now.hostname, next.hostname);
  must_stay("engine.spool", now.spool, next.spool);
  must_stay("engine.log", now.log, next.log);
  must_stay("engine.shards", now.shards, next.shards);
  must_stay("dns.servers", now.dns_servers, next.dns_servers);
  must_stay("dns.dnssec", now.dnssec, next.dnssec);
  must_stay("report.in_doubt", now.in_doubt, next.in_doubt);
  must_stay("report.notices", now.notices, next.notices);
  must_stay("report.postmaster", now.postmaster, next.postmaster);
  must_stay("tls_report", now.tls_report, next.tls_report);
  must_stay("admin.address", now.admin_address, next.admin_address);
  must_stay("admin.token_file", now.admin_token_file, next.admin_token_file);
  for (const ListenPolicy& listen : next.listen) {
    if (std::ranges::find(now.listen, listen.address, &ListenPolicy::address) != now.listen.end())
      continue;
    const auto address = io::SocketAddress::parse(listen.address);
    const int bound = address ? io::probe_bind(*address) : 0;
    if (bound < 0)
      out.push_back(fmt::format("{}: listen.address: cannot listen on {}: {}", source,
                                listen.address, std::strerror(-bound)));
  }
  return out;
}

}  // namespace sluice::engine
