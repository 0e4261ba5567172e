#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "engine/queue/rule.h"
#include "engine/report/spool_view.h"

namespace sluice::tools {

/// Which recipients a command speaks of, as the command line has it. All that is given must fit;
/// of several ids one.
struct QueueQuestion {
  std::vector<std::string> ids;  // UID.NUMBER, or UID of a campaign
  std::string campaign, destination, recipient, sender;

  bool is_empty() const {
    return ids.empty() && campaign.empty() && destination.empty() && recipient.empty() &&
           sender.empty();
  }
};

/// A question, checked.
class Selection {
 public:
  /// The error is one line for the operator.
  static std::expected<Selection, std::string> make(const QueueQuestion& question);

  /// The recipients of `mail` that fit, ascending. Reads the blocks of those who wait at one
  /// destination for a recipient's address, and of all who wait and fit otherwise for a sender that
  /// differs from one recipient to the next; nothing else.
  std::vector<engine::Range> ranges(io::Proactor& proactor,
                                    const engine::report::WaitingMail& mail) const;

  /// As a rule of this action. With `is_by_number()` it speaks of what add() was told of, else
  /// also of mail that comes later.
  engine::queue::Rule rule(engine::queue::Rule::Action action, io::WallTime at) const;
  bool is_by_number() const { return !ids_.empty() || !recipient_.empty() || !sender_.empty(); }
  /// Takes recipients of a campaign into the rule.
  void add(uint64_t uid, const std::vector<engine::Range>& ranges);

 private:
  std::vector<engine::Range> by_address(io::Proactor& proactor,
                                        const engine::report::WaitingMail& mail) const;
  std::vector<engine::Range> by_sender(io::Proactor& proactor,
                                       const engine::report::WaitingMail& mail,
                                       const std::vector<engine::Range>& among) const;

  engine::queue::Rule base_;  // campaign and destination
  std::vector<engine::queue::Rule::Stretch> ids_;
  std::string recipient_, recipient_domain_, sender_;
  std::vector<engine::queue::Rule::Stretch> found_;
};

}  // namespace sluice::tools
