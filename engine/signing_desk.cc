#include "engine/signing_desk.h"

#include <utility>

#include "engine/signed_content.h"

namespace sluice::engine {

SigningDesk::SigningDesk(io::EventLoop& loop, report::ShardCounters& counters)
    : loop_(loop), counters_(counters), scratch_(step_bytes) {}

void SigningDesk::turn_ended() {
  if (queue_.empty()) return;
  const io::Instant begin = loop_.proactor().clock();
  io::Instant now = begin;
  do {
    SignedContent& content = *queue_.front();
    const bool is_signature = content.is_signing();
    content.step();  // it leaves the queue when it is signed, or waits for the disk
    const io::Instant then = std::exchange(now, loop_.proactor().clock());
    // An average: a signature during which another process had the core is no measure.
    if (is_signature) signature_costs_ += (now - then - signature_costs_) / 4;
  } while (!queue_.empty() && now - begin + signature_costs_ <= turn_budget);
  counters_.dkim_signing_ns.add(static_cast<uint64_t>((now - begin).count()));
  if (!queue_.empty()) loop_.request_turn();
}

std::unique_ptr<dkim::MessageHash> SigningDesk::lend_hash() {
  if (hashes_.empty()) return std::make_unique<dkim::MessageHash>();
  auto hash = std::move(hashes_.back());
  hashes_.pop_back();
  return hash;
}

void SigningDesk::give_back(std::unique_ptr<dkim::MessageHash> hash) {
  hash->clear();
  if (hashes_.size() < hashes_kept_max) hashes_.push_back(std::move(hash));
}

}  // namespace sluice::engine
