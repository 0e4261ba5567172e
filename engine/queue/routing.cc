#include "engine/queue/routing.h"

#include <algorithm>

namespace sluice::engine::queue {

const Routing::Of* Routing::find(const Mailing& mailing) const {
  const auto found = mailings.find(mailing.campaign->info().uid);
  return found == mailings.end() ? nullptr : &found->second;
}

const Route* Routing::route_of(const Mailing& mailing, uint32_t recipient) const {
  const Of* const of = find(mailing);
  if (of == nullptr) return nullptr;
  const auto after = std::ranges::upper_bound(of->spans, recipient, {},
                                              [](const Span& span) { return span.range.first; });
  if (after == of->spans.begin()) return nullptr;
  const Span& span = *std::prev(after);
  return recipient - span.range.first < span.range.count ? span.route : nullptr;
}

}  // namespace sluice::engine::queue
