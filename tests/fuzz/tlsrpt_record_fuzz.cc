// TXT records that lie where TLS reports are asked for, one a line, and what their URIs come to.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tlsrpt/endpoint.h"
#include "engine/tlsrpt/record.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::engine::tlsrpt;
  std::vector<std::string> records(1);
  for (const char c : std::string_view(reinterpret_cast<const char*>(data), size))
    if (c == '\n')
      records.emplace_back();
    else
      records.back() += c;
  const auto is_plain = [](std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; });
  };
  const std::vector<std::string> uris = report_uris(records);
  for (const std::string& uri : uris) {
    CHECK(!uri.empty() && is_plain(uri) && uri.find_first_of(",;!") == uri.npos);
    const auto endpoint = parse_endpoint(uri);
    if (!endpoint) continue;
    CHECK(is_plain(endpoint->host) && endpoint->port != 0);
    if (endpoint->kind == Endpoint::Kind::mail)
      CHECK(endpoint->address.find('@') != std::string::npos);
    else
      CHECK(!endpoint->host.empty() && endpoint->target.starts_with('/') &&
            is_plain(endpoint->target));
  }
  // The order of records says nothing.
  std::ranges::reverse(records);
  CHECK(report_uris(records) == uris);
  return 0;
}
