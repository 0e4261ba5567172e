#include "engine/tlsrpt/day_count.h"

#include <fmt/format.h>

#include <numeric>
#include <string_view>
#include <utility>

namespace sluice::engine::tlsrpt {
namespace {

constexpr size_t node_octets = 160;  // of a map's entry, its numbers included

size_t octets_of(const Failure& failure) {
  return node_octets + failure.sending_ip.size() + failure.receiving_mx.size() +
         failure.receiving_ip.size() + failure.reason.size();
}

size_t octets_of(const std::vector<std::string>& texts) {
  return std::accumulate(texts.begin(), texts.end(), size_t{0}, [](size_t sum, const auto& text) {
    return sum + sizeof(std::string) + text.size();
  });
}

size_t octets_of(const Policy& policy) {
  return node_octets + policy.domain.size() + octets_of(policy.text) + octets_of(policy.mx);
}

size_t octets_of(const std::string& domain, const DomainCount& count) {
  size_t octets = node_octets + domain.size() + octets_of(count.progress.taken);
  for (const auto& [policy, of_policy] : count.policies) {
    octets += octets_of(policy);
    for (const auto& [failure, sessions] : of_policy.failures) octets += octets_of(failure);
  }
  return octets;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  text = text.substr(0, Policy::text_octets_max);
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.emplace_back(line);
  }
  return lines;
}

/// RFC 6698 section 2.2: "3 1 1 0D6F...".
std::string text_of(const tls::TlsaRecord& record) {
  std::string text = fmt::format("{} {} {} ", record.usage, record.selector, record.matching);
  for (const char octet : record.data) text += fmt::format("{:02X}", static_cast<uint8_t>(octet));
  return text;
}

std::string ip_of(const io::SocketAddress& address) {
  std::string text = address.text();
  text.resize(std::min(text.rfind(':'), text.size()));
  return text.starts_with('[') ? text.substr(1, text.size() - 2) : text;
}

template <class Texts, class Source, class Text>
void fill(Texts& out, const Source& source, Text&& text) {
  size_t octets = 0;
  for (const auto& item : source) {
    std::string one = text(item);
    if ((octets += one.size()) > Policy::text_octets_max) return;
    out.push_back(std::move(one));
  }
}

}  // namespace

uint64_t PolicyCount::failed() const {
  return std::accumulate(failures.begin(), failures.end(), uint64_t{0},
                         [](uint64_t sum, const auto& f) { return sum + f.second; });
}

DomainCount::Totals DomainCount::totals() const {
  Totals totals;
  for (const auto& [policy, count] : policies) {
    totals.successes += count.successes;
    totals.failures += count.failed();
  }
  return totals;
}

Policy policy_of(const Outcome& outcome) {
  Policy policy{.type = outcome.policy, .domain = outcome.domain};
  // Its records lie below the MX: RFC 8460 section 1.1, Policy Domain.
  if (policy.type == TlsPolicyType::tlsa) policy.domain = outcome.mx;
  if (outcome.sts) {
    policy.text = lines_of(outcome.sts->text);
    fill(policy.mx, outcome.sts->mx, [](const std::string& pattern) { return pattern; });
  }
  if (outcome.dane) {
    policy.domain = outcome.dane->base_domain;
    fill(policy.text, outcome.dane->records, text_of);
  }
  return policy;
}

PolicyCount* DayCount::policy_count(const Outcome& outcome) {
  auto domain = domains_.find(outcome.domain);
  const bool is_new = domain == domains_.end();
  Policy policy = policy_of(outcome);
  if (!is_new)
    if (const auto known = domain->second.policies.find(policy);
        known != domain->second.policies.end())
      return &known->second;
  const size_t octets = octets_of(policy) + (is_new ? octets_of(outcome.domain, DomainCount{}) : 0);
  if (octets_ + octets > octets_max) return nullptr;
  if (is_new) domain = domains_.emplace(outcome.domain, DomainCount{}).first;
  if (domain->second.policies.size() == DomainCount::policies_max) return nullptr;
  octets_ += octets;
  return &domain->second.policies[std::move(policy)];
}

bool DayCount::note(const Outcome& outcome) {
  PolicyCount* const count = policy_count(outcome);
  if (count == nullptr) return false;
  if (outcome.result == TlsResult::success) return ++count->successes, true;
  Failure failure{.result = outcome.result,
                  .sending_ip = ip_of(outcome.local),
                  .receiving_mx = outcome.mx,
                  .receiving_ip = ip_of(outcome.remote),
                  .reason = outcome.reason};
  auto known = count->failures.find(failure);
  if (known == count->failures.end()) {
    // Those by the result alone are few, whatever comes.
    if (count->failures.size() >= PolicyCount::failures_max ||
        octets_ + octets_of(failure) > octets_max)
      failure = {.result = outcome.result};
    known = count->failures.find(failure);
    if (known == count->failures.end()) {
      octets_ += octets_of(failure);
      known = count->failures.emplace(std::move(failure), 0).first;
    }
  }
  ++known->second;
  return true;
}

void DayCount::forget(const std::string& domain) {
  const auto known = domains_.find(domain);
  if (known == domains_.end()) return;
  octets_ -= std::min(octets_, octets_of(domain, known->second));
  domains_.erase(known);
}

DomainCount* DayCount::find(std::string_view domain) {
  const auto known = domains_.find(domain);
  return known == domains_.end() ? nullptr : &known->second;
}

void DayCount::set_domains(Domains&& domains) {
  domains_ = std::move(domains);
  octets_ = 0;
  for (const auto& [domain, count] : domains_) octets_ += octets_of(domain, count);
}

}  // namespace sluice::engine::tlsrpt
