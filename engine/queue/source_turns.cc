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
  if (source->mailing().letters) {
    Letters& letters = at.letters[source->flow().number];
    ++letters.sources;
    source->turn.first = letters.pass = std::max(letters.pass, at.now);
  }
  at.sources.emplace(source->turn, source);
}

void SourceTurns::remove(const Source& source) {
  Line& at = line(source.priority());
  CHECK(at.sources.erase(source.turn) == 1);
  if (!source.mailing().letters) return;
  const auto letters = at.letters.find(source.flow().number);
  if (--letters->second.sources == 0) at.letters.erase(letters);
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
  uint64_t& pass = node.key().first;
  const uint64_t cost = recipients * unit / source.flow().weight;
  if (source.mailing().letters) {
    uint64_t& last = at.letters.at(source.flow().number).pass;
    pass = last = std::max(last, pass) + cost;
  } else {
    pass += cost;
  }
  node.mapped()->turn = node.key();
  at.sources.insert(std::move(node));
}

void SourceTurns::charge_returned(Priority priority, uint64_t recipients) {
  Line& at = line(priority);
  at.now = std::max(at.now, at.returned);
  at.returned = at.now + recipients * unit;
}

}  // namespace sluice::engine::queue
