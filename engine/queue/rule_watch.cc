#include "engine/queue/rule_watch.h"

#include <fmt/format.h>

#include "spool/rule_files.h"

namespace sluice::engine::queue {

namespace {

std::string folder_of(const std::string& spool) {
  return fmt::format("{}/{}", spool, spool::rules_folder);
}

}  // namespace

std::vector<Rule> RuleWatch::read_all(io::Proactor& proactor, const std::string& spool,
                                      std::vector<std::string>& unreadable) {
  io::MakeDirectory make;
  make.path = folder_of(spool);
  io::run(proactor, make);  // where it cannot be made, nobody can say anything
  std::vector<Rule> rules;
  auto files = spool::read_rules(proactor, spool);
  if (!files) {
    unreadable.push_back(files.error().message);
    return rules;
  }
  for (const spool::Error& error : files->unreadable) unreadable.push_back(error.message);
  for (const spool::RuleFile& file : files->files) {
    if (auto rule = Rule::decode(file.name, file.text))
      rules.push_back(std::move(*rule));
    else
      unreadable.push_back(fmt::format("{}/{}: {}", folder_of(spool), file.name, rule.error()));
  }
  return rules;
}

RuleWatch::RuleWatch(io::EventLoop& loop, const std::string& spool, Listener& listener)
    : loop_(loop), folder_(folder_of(spool)), listener_(listener) {
  watch_.bind<&RuleWatch::changed>(this);
  watch_.path = folder_;
  list_.bind<&RuleWatch::listed>(this);
  list_.path = folder_;
}

void RuleWatch::start(const std::vector<Rule>& known) {
  for (const Rule& rule : known) known_.insert(rule.name);
  loop_.proactor().submit(watch_);
  look();  // for what came before the watch began
}

void RuleWatch::stop() {
  stopping_ = true;
  if (watch_.in_flight) loop_.proactor().cancel(watch_);
}

void RuleWatch::changed(io::WatchDirectory&, const io::Completion& completion) {
  if (completion.result >= 0 && !stopping_) look();
}

void RuleWatch::look() {
  if (list_.in_flight) {
    look_again_ = true;
    return;
  }
  loop_.proactor().submit(list_);
}

void RuleWatch::listed(io::ListDirectory& op, const io::Completion& completion) {
  if (stopping_ || completion.result < 0) return;
  for (const std::string& name : op.names) {
    if (!spool::is_rule_name(name) || !known_.insert(name).second) continue;
    const std::string path = fmt::format("{}/{}", folder_, name);
    spool::read_rule(loop_.proactor(), path, [this, path](auto file) {
      if (stopping_) return;
      auto rule = file ? Rule::decode(file->name, file->text)
                       : std::unexpected(std::string(file.error().message));
      if (rule)
        listener_.rule_arrived(std::move(*rule));
      else
        listener_.rule_unreadable(fmt::format("{}: {}", path, rule.error()));
      loop_.request_turn();
    });
  }
  if (std::exchange(look_again_, false)) look();
}

}  // namespace sluice::engine::queue
