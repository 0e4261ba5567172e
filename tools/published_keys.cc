#include "tools/published_keys.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>

#include "engine/dkim/dns_record.h"
#include "engine/dns/resolv_conf.h"
#include "engine/dns/resolver.h"

namespace sluice::tools {

namespace {

using engine::dns::RecordSet;
using engine::dns::RecordType;
using engine::dns::Resolver;

/// The answers, by the number of what was asked for.
struct Answers final : Resolver::Waiter {
  void resolved(size_t tag, const RecordSet& set) override {
    sets[tag] = set;
    ++known;
  }
  std::vector<RecordSet> sets;
  size_t known = 0;
};

std::vector<RecordSet> look_up(io::Proactor& proactor, const engine::Config& config,
                               const std::vector<PublishedKey>& keys) {
  io::EventLoop loop(proactor);
  Resolver resolver(loop, {.servers = config.dns_servers.empty() ? engine::dns::system_servers()
                                                                 : config.dns_servers,
                           .timeout = std::chrono::seconds(1),
                           .timeout_total = std::chrono::seconds(15)});
  Answers answers;
  answers.sets.resize(keys.size());
  for (size_t i = 0; i < keys.size(); ++i)
    resolver.resolve(keys[i].name, RecordType::txt, answers, i);
  while (answers.known < keys.size()) loop.turn();
  return std::move(answers.sets);
}

std::string problem_of(const RecordSet& set, const engine::dkim::Key& key) {
  switch (set.status) {
    case RecordSet::Status::no_name: return "is not published: no such name (NXDOMAIN)";
    case RecordSet::Status::no_data: return "is not published: the name has no TXT record";
    case RecordSet::Status::failed:  return fmt::format("cannot be looked up: {}", set.reason);
    case RecordSet::Status::found:   break;
  }
  if (set.texts.size() > 1)
    return fmt::format("has {} TXT records; verifiers take any of them", set.texts.size());
  const std::string mismatch = engine::dkim::mismatch(set.texts.front(), key);
  return mismatch.empty() ? "" : fmt::format("is published with a record that {}", mismatch);
}

std::string lower(std::string name) {
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return name;
}

}  // namespace

std::vector<PublishedKey> look_up_keys(io::Proactor& proactor, const engine::Config& config) {
  std::vector<engine::dkim::KeyPtr> keys;
  std::vector<PublishedKey> out;
  for (const engine::DkimPolicy& policy : config.dkim) {
    const auto key = engine::dkim::Key::load(policy.key);
    if (!key) continue;  // it was there when the configuration was checked
    const std::string name = engine::dkim::record_name(policy.selector, policy.domain);
    out.push_back({.name = lower(name),
                   .publish = engine::dkim::zone_text(name, engine::dkim::record_text(**key))});
    keys.push_back(*key);
  }
  if (out.empty()) return out;
  const std::vector<RecordSet> sets = look_up(proactor, config, out);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].problem = problem_of(sets[i], *keys[i]);
    out[i].is_unknown = sets[i].status == RecordSet::Status::failed;
  }
  return out;
}

int exit_code(const std::vector<PublishedKey>& keys) {
  const auto is_wrong = [](const PublishedKey& k) { return !k.problem.empty() && !k.is_unknown; };
  if (std::ranges::any_of(keys, is_wrong)) return EX_CONFIG;
  return std::ranges::any_of(keys, &PublishedKey::is_unknown) ? EX_TEMPFAIL : EX_OK;
}

}  // namespace sluice::tools
