#include "spool/rule_remover.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "io/check.h"
#include "spool/rule_files.h"

namespace sluice::spool {

RuleRemover::RuleRemover(io::Proactor& proactor, const std::string& spool)
    : proactor_(proactor), folder_(fmt::format("{}/{}", spool, rules_folder)) {
  sync_.path = folder_;
  sync_.bind<&RuleRemover::synced>(this);
  unlink_.bind<&RuleRemover::unlinked>(this);
}

RuleRemover::~RuleRemover() {
  stop();
  while (is_in_flight()) proactor_.wait(io::never, 64);
}

void RuleRemover::start(std::vector<std::string> names, Removed removed) {
  CHECK(!is_in_flight());
  names_ = std::move(names);
  removed_ = std::move(removed);
  if (!names_.empty()) proactor_.submit(sync_);
}

void RuleRemover::synced(io::SyncDirectory&, const io::Completion& completion) {
  if (completion.result >= 0) remove_next();
}

void RuleRemover::remove_next() {
  if (names_.empty()) return;
  unlink_.path = folder_ + "/" + names_.back();
  proactor_.submit(unlink_);
}

void RuleRemover::unlinked(io::Unlink&, const io::Completion& completion) {
  if (names_.empty()) return;  // stopped
  if (completion.result < 0 && completion.result != -ENOENT) return;
  const std::string name = std::move(names_.back());
  names_.pop_back();
  removed_(name);
  remove_next();
}

}  // namespace sluice::spool
