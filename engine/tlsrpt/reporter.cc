#include "engine/tlsrpt/reporter.h"

#include <utility>

namespace sluice::engine::tlsrpt {

Reporter::Reporter(unsigned shards, Clerk::Options options)
    : Office(shards, {.entries = 256, .sockets_max = 128, .receive_buffers = 64}),
      options_(std::move(options)) {
  options_.tell = [this](News&& news) { tell(std::move(news)); };
}

void Reporter::opened() {
  loop_ = std::make_unique<io::EventLoop>(proactor());
  clerk_ = std::make_unique<Clerk>(*loop_, options_);
}

void Reporter::turn() {
  loop_->turn();
  count();
  clerk_->turn_ended();
  proactor().wait(io::Instant{}, 0);  // wakes those who are told something
}

void Reporter::closing() {
  listener_.store(nullptr, std::memory_order_relaxed);
  for (const auto& desk : desks())
    while (const auto batch = desk->questions.pop()) clerk_->note(*batch);
  clerk_->stop();
  clerk_.reset();
  loop_.reset();
}

void Reporter::count() {
  for (const auto& desk : desks())
    while (const auto batch = desk->questions.pop()) {
      clerk_->note(*batch);
      answer(*desk, {});
    }
}

void Reporter::tell(News&& news) {
  io::Proactor* const listener = listener_.load(std::memory_order_acquire);
  if (news_.push(std::move(news)) && listener != nullptr) listener->wake(proactor());
}

}  // namespace sluice::engine::tlsrpt
