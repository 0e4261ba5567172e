#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config.h"
#include "engine/message.h"
#include "engine/queue/range_set.h"
#include "io/clock.h"
#include "spool/campaign.h"

namespace sluice::engine::queue {

/// What an operator said about mail that waits (`sluice queue hold ...`): a file of the spool's
/// folder `rules/` (spool/FORMAT.md section 6), kept until it can have no effect any more. Rules
/// count in the order of their names; the last one that speaks of a recipient wins.
///
/// hold     it waits until released, also mail that comes later
/// release  held mail accepted until `at` goes on; held by rule or by `hold` of the configuration
/// retry    what waits for another attempt at `at` is due now
/// cancel   mail accepted until `at` ends, without an attempt or a notice
/// etrn     a client asked for its mail (RFC 1985): what waits at `at` is due now, that which only
///          `hold = "etrn"` of the configuration keeps as well
struct Rule {
  enum class Action : uint8_t { hold, release, retry, cancel, etrn };
  /// A stretch of one campaign's recipients.
  struct Stretch {
    uint64_t uid = 0;
    uint32_t first = 0, last = 0;  // both included
    friend bool operator==(const Stretch&, const Stretch&) = default;
  };

  std::string name;  // of its file: time and a random part, so that names sort as time goes
  Action action = Action::hold;
  io::WallTime at{};
  // Who is meant: all that is given must fit; nothing given: everybody.
  std::string campaign;             // id
  std::string destination;          // domain (A-labels); `*.DOMAIN` for those below it
  std::vector<Stretch> recipients;  // by number; sender and recipient selectors come to this

  /// One JSON object.
  std::string encode() const;
  /// The error is one line: what is wrong with it.
  static std::expected<Rule, std::string> decode(std::string_view name, std::string_view text);

  bool has_same_selector(const Rule& other) const;
};

std::string_view name(Rule::Action action);

/// `UID.NUMBER` of a recipient or `UID` of a campaign, as the log writes them.
std::optional<Rule::Stretch> parse_stretch(std::string_view text);

/// The recipients of `campaign` that the rule speaks of, of its groups from `first_group` on,
/// ascending; O(groups + recipients given). All but a hold leave messages alone that were accepted
/// later.
std::vector<Range> ranges_of(const Rule& rule, const spool::Campaign& campaign,
                             uint32_t first_group = 0);

/// Which recipients of a campaign are held, and which cancelled, as the configuration and all rules
/// have it.
struct Standing {
  struct Release {
    io::WallTime at;
    std::vector<Range> ranges;
  };
  std::vector<Range> held, cancelled, retried;
  std::vector<Release> releases;

  /// One of whom it was not known at `since` whether it arrived: has somebody decided that it goes
  /// again?
  bool is_released(uint32_t number, io::WallTime since) const;
};
Standing standing(const std::vector<Rule>& rules, const spool::Campaign& campaign,
                  const Config& config, uint32_t first_group = 0);

/// No rule goes before it is so old: a hand-off may have begun before it was said.
inline constexpr io::Duration rule_age_min = std::chrono::hours(24);

/// The names of those of `rules` (all that there are, in their order) that can have no effect any
/// more, and may go together (spool/FORMAT.md section 6). `live`: all campaigns that are not
/// finished; `finished`: ids, at least of those that are and that rules name.
std::vector<std::string> spent_rules(const std::vector<Rule>& rules,
                                     std::span<const spool::Campaign* const> live,
                                     const std::set<std::string>& finished, io::WallTime now);

}  // namespace sluice::engine::queue
