#include "engine/queue/order_book.h"

#include "engine/queue/range_set.h"

namespace sluice::engine::queue {

void OrderBook::set(const Mailing& mailing, Orders&& orders) {
  const uint64_t uid = mailing.campaign->info().uid;
  if (orders.is_empty())
    orders_.erase(uid);
  else
    orders_[uid] = std::move(orders);
}

void OrderBook::join(const Mailing& mailing, Orders&& orders) {
  if (const Orders* const said = find(mailing))
    orders = {united(said->held, orders.held), united(said->cancelled, orders.cancelled)};
  set(mailing, std::move(orders));
}

const Orders* OrderBook::find(const Mailing& mailing) const {
  if (orders_.empty()) return nullptr;
  const auto orders = orders_.find(mailing.campaign->info().uid);
  return orders == orders_.end() ? nullptr : &orders->second;
}

bool OrderBook::is_held(const Mailing& mailing, uint32_t recipient) const {
  const Orders* const said = find(mailing);
  return said != nullptr && contains(said->held, recipient);
}

bool OrderBook::is_cancelled(const Mailing& mailing, uint32_t recipient) const {
  const Orders* const said = find(mailing);
  return said != nullptr && contains(said->cancelled, recipient);
}

}  // namespace sluice::engine::queue
