#pragma once

#include <array>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/stage.h"
#include "io/clock.h"

namespace sluice::tools::sink {

/// What a sink does instead of answering as it should.
enum class Action : uint8_t {
  none,
  reply,    // a reply of the operator's choice
  drop,     // closes the connection without an answer
  stall,    // never answers, and reads no further
  garbage,  // answers with octets that are no SMTP
  slow,     // the right answer, an octet a second
};

/// Delays and faults by stage, as `--delay PHASE=TIME` and `--fault PHASE:ACTION[@PERCENT]` give
/// them.
class FaultPlan {
 public:
  using Stage = engine::smtp::Stage;
  struct Decision {
    io::Duration delay{};
    Action action = Action::none;
    std::string_view reply;  // Action::reply: "CODE text"
  };

  /// The error says which word is wrong, and what would be right.
  std::expected<void, std::string> add_delay(std::string_view text);
  std::expected<void, std::string> add_fault(std::string_view text);

  /// What to do at `stage` this time; `random` is 64 random bits. Faults of one stage exclude each
  /// other: their percentages add up.
  Decision decide(Stage stage, uint64_t random) const;
  bool has_faults(Stage stage) const { return !plans_[static_cast<size_t>(stage)].faults.empty(); }

 private:
  struct Fault {
    Action action;
    std::string reply;
    double percent;
  };
  struct Plan {
    io::Duration delay{};
    std::vector<Fault> faults;
  };
  std::array<Plan, engine::smtp::stage_count> plans_;
};

}  // namespace sluice::tools::sink
