#include "engine/dns/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "io/check.h"

namespace sluice::engine::dns {
namespace {

using Seconds = std::chrono::duration<double>;

std::string key_of(std::string_view name, RecordType type) {
  return fmt::format("{} {}", name, static_cast<unsigned>(type));
}

}  // namespace

/// One record set being found out.
class Resolver::LookUp final : public Question {
 public:
  LookUp(Resolver& resolver, const std::string& wanted, RecordType type)
      : Question(wanted, type), resolver_(resolver), wanted_(wanted) {
    timer_.bind<&LookUp::timer_fired>(this);
  }

  /// False: the server's window is full, not now.
  bool send();
  void fail(std::string reason) {
    finish({.status = RecordSet::Status::failed, .reason = std::move(reason)});
  }
  void add(Waiter& waiter, size_t tag) { waiters_.emplace_back(&waiter, tag); }
  const std::string& wanted() const { return wanted_; }
  std::vector<std::pair<Waiter*, size_t>> take_waiters() { return std::move(waiters_); }

 private:
  void answered(Outcome&& outcome) override;
  void timer_fired();
  void timed_out();
  void no_longer_fresh();
  void take(const Answer& answer);
  void follow(const std::string& alias);
  void give_up_server(std::string reason);
  void try_next();
  void finish(RecordSet&& set);
  size_t server_index() const { return (first_server_ + attempt_) % resolver_.servers_.size(); }
  Server& server() const { return resolver_.servers_[server_index()]; }
  std::string server_text() const { return server().address.text(); }
  /// A lost question costs little in the first round; a server that is slow gets its time later.
  io::Duration patience() const {
    return resolver_.options_.timeout * (1u << (attempt_ / resolver_.servers_.size()));
  }

  Resolver& resolver_;
  const std::string wanted_;
  std::vector<std::pair<Waiter*, size_t>> waiters_;
  ServerChannel* channel_ = nullptr;
  ServerChannel::Ticket* ticket_ = nullptr;
  io::Timer timer_;
  io::Instant sent_at_{}, times_out_at_{};
  bool is_fresh_ = false;
  std::optional<io::Instant> give_up_at_;  // once it was sent
  size_t first_server_ = 0;
  unsigned attempt_ = 0, aliases_ = 0;
  std::vector<bool> given_up_ = std::vector<bool>(resolver_.servers_.size());
  uint32_t ttl_s_ = UINT32_MAX;  // of the aliases followed
  bool is_secure_ = true;        // so far
  std::string reason_;
};

bool Resolver::LookUp::send() {
  if (!give_up_at_) first_server_ = resolver_.preferred_;
  ServerChannel* channel = resolver_.channel_to(server());
  if (!channel) return false;
  const io::Instant now = resolver_.loop_.now();
  if (!give_up_at_) give_up_at_ = now + resolver_.options_.timeout_total;
  channel_ = channel;
  sent_at_ = now;
  ticket_ = channel->ask(*this);
  ++resolver_.counts_.questions;
  times_out_at_ = std::min(now + patience(), *give_up_at_);
  is_fresh_ = true;
  ++server().fresh;
  resolver_.loop_.timers().arm(timer_, std::min(times_out_at_, now + fresh_for));
  return true;
}

void Resolver::LookUp::no_longer_fresh() {
  if (std::exchange(is_fresh_, false)) --server().fresh;
}

void Resolver::LookUp::timer_fired() {
  no_longer_fresh();
  if (resolver_.loop_.now() >= times_out_at_) return timed_out();
  resolver_.loop_.timers().arm(timer_, times_out_at_);
  resolver_.pump();
}

void Resolver::LookUp::answered(Outcome&& outcome) {
  ticket_ = nullptr;
  resolver_.loop_.timers().cancel(timer_);
  no_longer_fresh();
  if (outcome.answer) {
    resolver_.last_answer_at_ = resolver_.loop_.now();
    server().window.answered(resolver_.loop_.now());
    take(*outcome.answer);
  } else {
    give_up_server(fmt::format("{}: {}", server_text(), outcome.problem));
  }
  // *this may be gone.
}

void Resolver::LookUp::take(const Answer& answer) {
  using Kind = Answer::Kind;
  ttl_s_ = std::min(ttl_s_, answer.ttl_s);
  is_secure_ &= answer.is_authentic && is_believed(resolver_.options_.trust, server().address);
  const io::Instant now = resolver_.loop_.now();
  const auto keep = [&](io::Duration least, io::Duration most) {
    return now + std::clamp<io::Duration>(std::chrono::seconds(ttl_s_), least, most);
  };
  switch (answer.kind) {
    case Kind::found:
      return finish({.status = RecordSet::Status::found,
                     .is_secure = is_secure_,
                     .canonical = !answer.alias.empty() ? answer.alias
                                  : name_ != wanted_    ? name_
                                                        : std::string(),
                     .mx = answer.mx,
                     .addresses = answer.addresses,
                     .tlsa = answer.tlsa,
                     .texts = answer.texts,
                     .good_until = keep(positive_least, positive_most)});
    case Kind::no_data:
    case Kind::no_name:
      return finish({.status = answer.kind == Kind::no_data ? RecordSet::Status::no_data
                                                            : RecordSet::Status::no_name,
                     .is_secure = is_secure_,
                     .good_until = keep(negative_least, negative_most)});
    case Kind::alias:      return follow(answer.alias);
    case Kind::alias_loop: return fail("its aliases (CNAME) form a loop");
    case Kind::server_failed:
      return give_up_server(
          fmt::format("{} from {}", response_code_text(answer.code), server_text()));
  }
}

void Resolver::LookUp::follow(const std::string& alias) {
  if (++aliases_ > aliases_max) return fail("its aliases (CNAME) form a loop");
  name_ = alias;
  resolver_.waiting_.push_front(this);
  resolver_.pump();
}

/// This server said that it will not tell: it is not asked again.
void Resolver::LookUp::give_up_server(std::string reason) {
  given_up_[server_index()] = true;
  reason_ = std::move(reason);
  try_next();
}

void Resolver::LookUp::timed_out() {
  channel_->abandon(std::exchange(ticket_, nullptr));
  ++resolver_.counts_.timeouts;
  server().window.timed_out(sent_at_, resolver_.loop_.now());
  // What a server said is more to the point than that another said nothing.
  if (reason_.empty() || std::ranges::none_of(given_up_, std::identity()))
    reason_ = fmt::format("no answer from {} within {:.2g}s", server_text(),
                          Seconds(times_out_at_ - sent_at_).count());
  if (resolver_.preferred_ == server_index())
    resolver_.preferred_ = (server_index() + 1) % resolver_.servers_.size();
  try_next();
}

void Resolver::LookUp::try_next() {
  const size_t attempts = resolver_.servers_.size() * resolver_.options_.rounds;
  do ++attempt_;
  while (attempt_ < attempts && given_up_[server_index()]);
  if (attempt_ >= attempts || resolver_.loop_.now() >= *give_up_at_) return fail(reason_);
  resolver_.waiting_.push_front(this);
  resolver_.pump();
}

void Resolver::LookUp::finish(RecordSet&& set) {
  if (set.status == RecordSet::Status::failed) set.good_until = resolver_.loop_.now() + failed_for;
  resolver_.finished(*this, std::move(set));
}

Resolver::Resolver(io::EventLoop& loop, Options options)
    : loop_(loop), options_(std::move(options)), cache_(options_.cache_entries_max) {
  for (const io::SocketAddress& address : options_.servers)
    servers_.push_back({.address = address});
  stall_timer_.bind<&Resolver::stalled>(this);
}

Resolver::~Resolver() {
  const auto is_open = [](const Server& server) {
    return std::ranges::any_of(server.channels, [](const auto& c) { return !c->is_gone(); });
  };
  for (Server& server : servers_)
    for (auto& channel : server.channels) channel->end();
  while (std::ranges::any_of(servers_, is_open)) loop_.proactor().wait(io::never, 64);
}

std::optional<RecordSet> Resolver::known(std::string_view name, RecordType type) {
  auto set = cache_.find(name, type, loop_.now());
  if (set) ++counts_.cache_hits;
  return set;
}

void Resolver::resolve(const std::string& name, RecordType type, Waiter& waiter, size_t tag) {
  CHECK(!servers_.empty());
  auto& look_up = open_[key_of(name, type)];
  if (look_up) return look_up->add(waiter, tag);
  ++counts_.look_ups;
  look_up = std::make_unique<LookUp>(*this, name, type);
  look_up->add(waiter, tag);
  waiting_.push_back(look_up.get());
  pump();
}

void Resolver::pump() {
  // A question may be answered by what follows from another's answer.
  if (std::exchange(is_pumping_, true)) return;
  while (!waiting_.empty() && waiting_.front()->send()) waiting_.pop_front();
  is_pumping_ = false;
  if (waiting_.empty())
    loop_.timers().cancel(stall_timer_);
  else if (!stall_timer_.is_armed())
    loop_.timers().arm(stall_timer_, loop_.now() + options_.timeout_total);
}

/// Look-ups have been waiting for as long as one may last.
void Resolver::stalled() {
  const io::Instant now = loop_.now(), fails_at = last_answer_at_ + options_.timeout_total;
  if (now < fails_at) return loop_.timers().arm(stall_timer_, fails_at);
  const std::string reason = fmt::format("no name server has answered anything for {:g}s",
                                         Seconds(options_.timeout_total).count());
  // What they fail for may ask again, and then waits anew.
  for (LookUp* look_up : std::exchange(waiting_, {})) look_up->fail(reason);
}

ServerChannel* Resolver::channel_to(Server& server) {
  std::erase_if(server.channels, [](const auto& channel) { return channel->is_gone(); });
  if (server.fresh >= server.window.size()) {
    server.window.held_back(loop_.now());
    return nullptr;
  }
  uint32_t open = 0;
  for (const auto& channel : server.channels) {
    if (channel->takes_questions()) return channel.get();
    open += channel->under_way() > 0;
  }
  if (open >= channels_max) return nullptr;
  server.channels.push_back(std::make_unique<ServerChannel>(loop_, server.address));
  return server.channels.back().get();
}

void Resolver::finished(LookUp& look_up, RecordSet&& set) {
  cache_.put(look_up.wanted(), look_up.type(), set);
  const auto node = open_.extract(key_of(look_up.wanted(), look_up.type()));
  for (const auto& [waiter, tag] : look_up.take_waiters()) waiter->resolved(tag, set);
  pump();
}

}  // namespace sluice::engine::dns
