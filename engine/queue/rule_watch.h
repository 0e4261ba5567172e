#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/queue/rule.h"
#include "io/event_loop.h"
#include "io/op.h"

namespace sluice::engine::queue {

/// Notices what operators say while the engine runs: new files of the spool's folder `rules/`.
/// Whoever owns it waits, after stop(), until is_idle().
class RuleWatch {
 public:
  class Listener {
   public:
    virtual void rule_arrived(Rule&& rule) = 0;
    /// A file of rules/ that is no rule; it is left alone. One line.
    virtual void rule_unreadable(const std::string& message) = 0;

   protected:
    ~Listener() = default;
  };

  /// The rules that are there now, in the order in which they count; the others are told to
  /// `listener` or left alone. Makes the folder when it is missing. Blocking.
  static std::vector<Rule> read_all(io::Proactor& proactor, const std::string& spool,
                                    std::vector<std::string>& unreadable);

  RuleWatch(io::EventLoop& loop, const std::string& spool, Listener& listener);

  /// `known`: what read_all() gave.
  void start(const std::vector<Rule>& known);
  void stop();

 private:
  void changed(io::WatchDirectory& op, const io::Completion& completion);
  void listed(io::ListDirectory& op, const io::Completion& completion);
  void look();

  io::EventLoop& loop_;
  const std::string folder_;
  Listener& listener_;
  std::set<std::string> known_;
  io::WatchDirectory watch_;
  io::ListDirectory list_;
  bool look_again_ = false, stopping_ = false;
};

}  // namespace sluice::engine::queue
