#include "engine/sts/policy_finder.h"

#include <utility>

#include "engine/sts/record.h"

namespace sluice::engine::sts {

PolicyFinder::PolicyFinder(unsigned shard, dns::HostFinder& finder, PolicyKeeper* keeper)
    : shard_(shard), finder_(finder), keeper_(keeper) {}

void PolicyFinder::find(const std::string& domain, const std::string& authorities, Callback found) {
  if (keeper_ == nullptr) return found({});
  Question question{.source = {.domain = domain, .authorities = authorities}};
  finder_.find_texts(
      "_mta-sts." + domain, [this, question = std::move(question),
                             found = std::move(found)](const dns::RecordSet& set) mutable {
        question.id = policy_id(set.texts);
        if (!question.id) return ask(std::move(question), std::move(found));
        const dns::Target server{.next_hops = {"mta-sts." + question.source.domain}, .port = 443};
        finder_.find(server, [this, question = std::move(question),
                              found = std::move(found)](dns::HostListPtr list) mutable {
          for (const dns::Host& host : list->hosts)
            question.source.addresses.push_back(host.address);
          ask(std::move(question), std::move(found));
        });
      });
}

void PolicyFinder::ask(Question&& question, Callback found) {
  question.number = ++numbers_;
  asking_.emplace(question.number, std::move(found));
  waiting_.push_back(std::move(question));
  turn_ended();
}

void PolicyFinder::turn_ended() {
  if (keeper_ == nullptr) return;
  while (auto reply = keeper_->reply(shard_))
    if (const auto known = asking_.extract(reply->number))
      known.mapped()(std::move(reply->finding));
  while (!waiting_.empty() && keeper_->ask(shard_, std::move(waiting_.front())))
    waiting_.pop_front();
}

}  // namespace sluice::engine::sts
