// What a domain's policy makes of its hosts.
#include "engine/sts/bound_hosts.h"

#include <gtest/gtest.h>

namespace sluice::engine::sts {
namespace {

using namespace std::chrono_literals;

const io::Instant now{100s};

Finding finding(Policy::Mode mode, std::vector<std::string> mx) {
  return {.policy = std::make_shared<const Policy>(
              Policy{.mode = mode, .max_age_s = 60, .mx = std::move(mx)})};
}

tls::DanePolicyPtr dane(bool is_usable) {
  return std::make_shared<const tls::DanePolicy>(tls::DanePolicy{
      .base_domain = "a.test", .records = {{3, 1, 1, std::string(is_usable ? 32 : 1, 'x')}}});
}

dns::HostListPtr hosts(tls::DanePolicyPtr of_first = nullptr) {
  dns::HostList list{.good_until = now + 1h};
  const auto address = *io::SocketAddress::parse("192.0.2.1:25");
  list.hosts = {{"a.test", address, 10, std::move(of_first)}, {"b.test", address, 20}};
  return std::make_shared<const dns::HostList>(std::move(list));
}

/// "a.test enforced, b.test -; unsafe c.test".
std::string text(const dns::HostListPtr& list) {
  std::string out;
  for (const dns::Host& host : list->hosts) {
    out += (out.empty() ? "" : ", ") + host.name;
    if (!host.sts)
      out += " free";
    else if (!host.sts->finding.policy)
      out += " faulty";
    else
      out += host.sts->is_enforced() ? " enforced"
             : host.sts->names_host  ? " tested"
                                     : " not named";
  }
  for (const dns::UnsafeHost& host : list->unsafe) out += "; unsafe " + host.name;
  if (list->failure) out += "; " + list->failure->reason;
  return out;
}

std::string bound(const Finding& found, tls::DanePolicyPtr of_first = nullptr) {
  return text(bound_hosts(hosts(std::move(of_first)), "example.test", found, now));
}

TEST(BoundHosts, go_by_the_mode) {
  using enum Policy::Mode;
  EXPECT_EQ(bound({}), "a.test free, b.test free");
  EXPECT_EQ(bound(finding(none, {"a.test"})), "a.test free, b.test free");
  EXPECT_EQ(bound(finding(testing, {"a.test"})), "a.test tested, b.test not named");
  EXPECT_EQ(bound(finding(enforce, {"*.test"})), "a.test enforced, b.test enforced");
  EXPECT_EQ(bound(finding(enforce, {"b.test"})), "b.test enforced; unsafe a.test");
}

TEST(BoundHosts, are_none_where_a_policy_names_no_MX_of_DNS) {
  const auto list =
      bound_hosts(hosts(), "example.test", finding(Policy::Mode::enforce, {"c.test"}), now);
  EXPECT_EQ(text(list),
            "; unsafe a.test; unsafe b.test; sts: b.test: the MTA-STS policy of example.test does "
            "not name this MX");
  EXPECT_EQ(list->failure->result, smtp::Result::transient);
}

TEST(BoundHosts, with_usable_TLSA_records_are_free_of_it) {
  using enum Policy::Mode;
  EXPECT_EQ(bound(finding(enforce, {"b.test"}), dane(true)), "a.test free, b.test enforced");
  EXPECT_EQ(bound(finding(enforce, {"b.test"}), dane(false)), "b.test enforced; unsafe a.test");
}

TEST(BoundHosts, are_found_anew_soon_where_the_policy_could_not_be_had) {
  const Finding fault{.fault = Fault::fetch, .reason = "broken"};
  EXPECT_EQ(bound(fault), "a.test faulty, b.test faulty");
  EXPECT_EQ(bound_hosts(hosts(), "example.test", fault, now)->good_until, now + 1min);
}

}  // namespace
}  // namespace sluice::engine::sts
