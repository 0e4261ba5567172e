#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/message.h"

namespace sluice::engine::queue {

/// What operators said of the recipients of a queue's mailings.
class OrderBook {
 public:
  /// In place of what was said of the mailing before.
  void set(const Mailing& mailing, Orders&& orders);
  /// Beside what was said of it before: of further recipients.
  void join(const Mailing& mailing, Orders&& orders);
  bool is_empty() const { return orders_.empty(); }

  bool is_held(const Mailing& mailing, uint32_t recipient) const;
  bool is_cancelled(const Mailing& mailing, uint32_t recipient) const;

 private:
  const Orders* find(const Mailing& mailing) const;

  std::unordered_map<uint64_t, Orders> orders_;  // by the campaign's uid; none is empty
};

}  // namespace sluice::engine::queue
