#include "engine/queue/source_turns.h"

#include <algorithm>

#include "io/check.h"

namespace sluice::engine::queue {

namespace {

constexpr uint64_t unit = uint64_t{1} << 20;  // a recipient at weight 1

}  // namespace

void SourceTurns::add(Place source) {
  Line& at = line(source->priority());
  source->turn = {at.now, ++added_};
  at.sources.emplace(source->turn, source);
}

void SourceTurns::remove(const Source& source) {
  CHECK(line(source.priority()).sources.erase(source.turn) == 1);
}

bool SourceTurns::is_turn_of_returned(Priority priority) const {
  const Line& at = line(priority);
  return at.sources.empty() || std::max(at.returned, at.now) <= at.sources.begin()->first.first;
}

void SourceTurns::charge(const Source& source, uint64_t recipients) {
  Line& at = line(source.priority());
  auto node = at.sources.extract(source.turn);
  CHECK(node);
  at.now = std::max(at.now, node.key().first);
  node.key().first += recipients * unit / source.mailing().weight;
  node.mapped()->turn = node.key();
  at.sources.insert(std::move(node));
}

void SourceTurns::charge_returned(Priority priority, uint64_t recipients) {
  Line& at = line(priority);
  at.now = std::max(at.now, at.returned);
  at.returned = at.now + recipients * unit;
}

}  // namespace sluice::engine::queue
