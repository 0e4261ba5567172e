#include "engine/sts/download.h"

#include <fmt/format.h>
#include <strings.h>

#include <cstring>
#include <utility>

namespace sluice::engine::sts {
namespace {

/// `text/plain`, whatever parameters follow.
bool is_plain_text(const std::string& type) {
  constexpr std::string_view plain = "text/plain";
  if (strncasecmp(type.c_str(), plain.data(), plain.size()) != 0) return false;
  return type.size() == plain.size() || std::strchr("; \t", type[plain.size()]) != nullptr;
}

}  // namespace

Download::Download(io::EventLoop& loop, const Source& source)
    : host_("mta-sts." + source.domain),
      exchange_(loop, {.host = host_,
                       .addresses = source.addresses,
                       .authorities = source.authorities,
                       .target = "/.well-known/mta-sts.txt",
                       .fields = "Accept: text/plain\r\n"}) {}

Fetched Download::result() {
  const auto& reply = exchange_.result();
  if (!reply)
    return fault(reply.error().is_of_certificate ? Fault::webpki : Fault::fetch,
                 reply.error().reason);
  if (reply->status != 200)
    return fault(Fault::fetch, fmt::format("HTTP status {}", reply->status));
  if (!is_plain_text(reply->type)) return fault(Fault::fetch, "what it serves is not text/plain");
  auto policy = parse_policy(reply->body);
  if (!policy) return fault(Fault::invalid, fmt::format("the policy {}", policy.error()));
  return {.policy = *std::move(policy)};
}

Fetched Download::fault(Fault fault, std::string_view why) const {
  return {.fault = {.fault = fault, .reason = fmt::format("sts: {}: {}", host_, why)}};
}

}  // namespace sluice::engine::sts
