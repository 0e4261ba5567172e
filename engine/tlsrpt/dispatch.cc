#include "engine/tlsrpt/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/intake/submission.h"
#include "engine/report/json_writer.h"
#include "engine/tlsrpt/record.h"

namespace sluice::engine::tlsrpt {

Dispatch::Dispatch(const Means& means, const std::string& domain, Day day, const DomainCount& count)
    : means_(means), domain_(domain), report_(means.submitter, domain, day), count_(count) {
  means_.finder.find_texts("_smtp._tls." + domain_,
                           [this](const dns::RecordSet& set) { asked(set); });
}

void Dispatch::fail(const std::string& uri, const std::string& why) {
  result_.failures.push_back(fmt::format("{}: {}", uri, why));
}

void Dispatch::asked(const dns::RecordSet& set) {
  --pending_;
  if (!set.is_definite()) return fail("_smtp._tls." + domain_, set.reason);
  std::vector<Endpoint> mail, https;
  for (const std::string& uri : report_uris(set.texts)) {
    auto endpoint = parse_endpoint(uri);
    if (!endpoint || mail.size() + https.size() == endpoints_max) continue;
    (endpoint->kind == Endpoint::Kind::mail ? mail : https).push_back(*std::move(endpoint));
  }
  const auto has_it = [&](const Endpoint& endpoint) {
    return std::ranges::find(count_.progress.taken, endpoint.uri) != count_.progress.taken.end();
  };
  std::erase_if(mail, has_it);
  std::erase_if(https, has_it);
  gzipped_ = gzipped(report_.json(count_));
  for (Endpoint& endpoint : https) look_for_host(posts_.emplace_back(std::move(endpoint)));
  if (!mail.empty()) queue_mail(mail);
}

void Dispatch::queue_mail(const std::vector<Endpoint>& to) {
  std::vector<std::string> addresses;
  std::string list;
  for (const Endpoint& endpoint : to) {
    addresses.push_back(endpoint.address);
    report::JsonObject row(list);
    row.string("email", endpoint.address);
    row.end();
    list += '\n';
  }
  const std::string id = report_.id();
  intake::Submission submission(
      {.message = "TLS report",
       .at_hand = report_.mail(addresses, count_, gzipped_, means_.loop.wall()),
       .is_literal = true,
       .from = means_.submitter.from,
       .campaign = "tls-report-" + id.substr(0, id.find('@')),
       .is_repeatable = false,
       .spool = means_.spool,
       .hostname = means_.submitter.hostname,
       .notify = smtp::notify_never,
       .priority = Priority::non_urgent,
       .is_tls_optional = true},
      means_.loop.proactor());
  auto recipients = intake::RecipientList::read(intake::ListFile::holding(std::move(list)), "rua");
  if (!recipients) return fail(to.front().uri, recipients.error().text);
  submission.set_list(*std::move(recipients));
  const auto receipt = submission.run();
  if (!receipt) return fail(to.front().uri, receipt.error().lines.front());
  for (const Endpoint& endpoint : to) result_.queued.push_back(endpoint.uri);
}

void Dispatch::look_for_host(Post& post) {
  const std::string& host = post.endpoint.host;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  const dns::Target target{.next_hops = {is_ipv6 ? "[" + host + "]" : host},
                           .port = post.endpoint.port};
  ++pending_;
  means_.finder.find(target, [this, &post](const dns::HostListPtr& hosts) { begin(post, *hosts); });
}

void Dispatch::begin(Post& post, const dns::HostList& hosts) {
  if (hosts.hosts.empty()) {
    --pending_;
    return fail(post.endpoint.uri, hosts.failure->reason);
  }
  https::Request request{.host = post.endpoint.host,
                         .authorities = means_.authorities(domain_),
                         .method = "POST",
                         .target = post.endpoint.target,
                         .fields = "Content-Type: application/tlsrpt+gzip\r\n",
                         .body = gzipped_};
  for (const dns::Host& host : hosts.hosts) request.addresses.push_back(host.address);
  post.exchange = std::make_unique<https::Exchange>(means_.loop, std::move(request));
  means_.loop.request_turn();  // it may have failed as it began
}

void Dispatch::turn_ended() {
  for (auto post = posts_.begin(); post != posts_.end();) {
    if (!post->exchange || !post->exchange->is_over()) {
      ++post;
      continue;
    }
    const auto& reply = post->exchange->result();
    const std::string& uri = post->endpoint.uri;
    if (!reply)
      fail(uri, reply.error().reason);
    else if (reply->status / 100 != 2)
      fail(uri, fmt::format("HTTP status {}", reply->status));
    else
      result_.posted.push_back(uri);
    --pending_;
    post = posts_.erase(post);
  }
}

void Dispatch::abandon() {
  std::erase_if(posts_, [](const Post& post) { return !post.exchange; });
  for (const Post& post : posts_) post.exchange->abandon();
  pending_ = posts_.size();
}

}  // namespace sluice::engine::tlsrpt
