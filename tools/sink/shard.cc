#include "tools/sink/shard.h"

#include <fmt/format.h>

namespace sluice::tools::sink {

using namespace std::chrono_literals;

void Common::stop(Shard& from, Stop how) {
  stopping.store(how);
  for (Shard* shard : shards)
    if (shard != &from) shard->proactor().wake(from.proactor());
}

Shard::Shard(Common& common, io::Proactor& proactor) : common_(common), loop_(proactor) {
  accept_.bind<&Shard::accepted>(this);
  deadline_.bind<&Shard::time_is_up>(this);
  loop_.add(*this);
}

int32_t Shard::listen(io::SocketAddress& address, bool share) {
  listen_.address = address;
  listen_.reuse_port = share;
  const int32_t result = io::run(proactor(), listen_);
  if (result == 0) address = listen_.address;
  return result;
}

void Shard::run() {
  accept_.listener = listen_.socket;
  proactor().submit(accept_);
  loop_.run();
}

FaultPlan::Decision Shard::decide(engine::smtp::Stage stage) {
  const FaultPlan& plan = options().plan;
  return plan.decide(stage, plan.has_faults(stage) ? proactor().random() : 0);
}

void Shard::accepted(io::Accept& accept, const io::Completion& completion) {
  if (completion.result < 0) {
    // No slot is free: accepting goes on when a session has ended.
    if (completion.result != -ECANCELED) fmt::print(stderr, "sluice sink: cannot accept\n");
    return;
  }
  ++tally_.connections;
  const bool is_dropped = decide(engine::smtp::Stage::connect).action == Action::drop;
  Session* session =
      is_dropped || ending_ != Common::Stop::no ? nullptr : sessions_.create(*this, accept.socket);
  if (!session) {
    tally_.drops += is_dropped;
    if (io::CloseSocket* close = refused_.create()) {
      close->socket = accept.socket;
      close->bind<&Shard::refused_closed>(this);
      proactor().submit(*close);
    }
    return;
  }
  const uint64_t now = common_.connections_now.fetch_add(1, std::memory_order_relaxed) + 1;
  uint64_t peak = common_.connections_peak.load(std::memory_order_relaxed);
  while (now > peak && !common_.connections_peak.compare_exchange_weak(peak, now)) {
  }
  session->start();
}

void Shard::refused_closed(io::CloseSocket& close, const io::Completion&) {
  refused_.destroy(&close);
}

void Shard::take(const Receiver& receiver) {
  tally_.take(receiver.recipients(), receiver.message_id(), receiver.content_bytes());
  tally_.messages_tls += receiver.is_tls();
  tally_.messages_signed += receiver.is_signed();
  last_taken = loop_.now();
  if (!first_taken) first_taken = last_taken;
  const uint64_t count = common_.messages.fetch_add(1, std::memory_order_relaxed) + 1;
  if (count == options().messages_until_end) common_.stop(*this, Common::Stop::gently);
}

void Shard::end(Session& session) {
  common_.connections_now.fetch_sub(1, std::memory_order_relaxed);
  sessions_.destroy(&session);
  if (!accept_.in_flight && ending_ == Common::Stop::no) proactor().submit(accept_);
}

std::string Shard::next_file_name() {
  return fmt::format("{:08}.eml", common_.files.fetch_add(1) + 1);
}

void Shard::cannot_save(int32_t result) {
  int none = 0;
  common_.save_error.compare_exchange_strong(none, -result);
}

void Shard::turn_ended() {
  if (const auto how = common_.stopping.load(std::memory_order_relaxed); how != ending_)
    begin_to_end(how);
  // By index: flushing a session may touch another one, or itself.
  for (size_t i = 0; i < touched_.size(); ++i) touched_[i]->flush();
  touched_.clear();
  if (ending_ != Common::Stop::no && sessions_.size() == 0 && refused_.size() == 0 &&
      !accept_.in_flight)
    loop_.stop();
}

void Shard::begin_to_end(Common::Stop how) {
  ending_ = how;
  if (accept_.in_flight && !accept_.cancelled) proactor().cancel(accept_);
  if (how == Common::Stop::at_once) sessions_.for_each([](Session& session) { session.stop(); });
  if (!deadline_.is_armed()) loop_.timers().arm(deadline_, loop_.now() + 1s);
}

}  // namespace sluice::tools::sink
