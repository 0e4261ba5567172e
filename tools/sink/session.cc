#include "tools/sink/session.h"

#include <fmt/format.h>

#include <utility>

#include "io/check.h"
#include "tools/sink/shard.h"

namespace sluice::tools::sink {
namespace {

using namespace std::chrono_literals;

constexpr size_t pending_bytes_max = 256 * 1024;  // then receiving stops until the session goes on
constexpr size_t out_bytes_max = 64 * 1024;       // replies that a peer does not read
constexpr io::Duration slow_interval = 1s;
// No code, octets that are no text, a NUL, a bare line feed.
constexpr std::string_view garbage{"\xff\xfe\0?\n 2x0 garbage \x80\r\n", 21};

}  // namespace

Session::Session(Shard& shard, io::Socket socket)
    : shard_(shard), receiver_(shard.options().receiver) {
  receive_.socket = send_.socket = close_.socket = socket;
  receive_.bind<&Session::received>(this);
  send_.bind<&Session::sent>(this);
  close_.bind<&Session::closed>(this);
  timer_.bind<&Session::timer_fired>(this);
}

void Session::start() {
  shard_.proactor().submit(receive_);
  settle();
}

void Session::received(io::Receive&, const io::Completion& completion) {
  if (completion.more) {
    if (closing_) return;
    if (std::exchange(tls_is_next_, false))
      channel_ = std::make_unique<engine::tls::Channel>(shard_.options().tls);
    return channel_ ? decrypt(completion.bytes) : take(completion.bytes);
  }
  if (completion.result == -ECANCELED && !closing_) {
    if (!is_paused()) shard_.proactor().submit(receive_);
    return;
  }
  gone_ = gone_ || completion.result < 0;
  hurried_ = true;
  if (timer_.is_armed() && slow_.empty()) {
    shard_.loop().timers().cancel(timer_);
    timer_fired();
  }
  closing_ = true;
  touch();
}

void Session::decrypt(Bytes octets) {
  using State = engine::tls::Channel::State;
  const bool was_established = channel_->is_established();
  std::string plain;
  channel_->receive(octets, plain, wire_);
  if (!was_established && channel_->is_established()) {
    receiver_.tls_started();
    shard_.tally().handshakes += 1;
    shard_.tally().resumed += channel_->is_resumed();
  }
  if (!plain.empty()) take(std::as_bytes(std::span<const char>(plain)));
  if (channel_->state() == State::failed) closing_ = true;
  touch();
}

void Session::take(Bytes input) {
  if (!is_paused()) return consume(input);
  pending_.append(reinterpret_cast<const char*>(input.data()), input.size());
  if (pending_.size() > pending_bytes_max && receive_.in_flight && !receive_.cancelled)
    shard_.proactor().cancel(receive_);
}

bool Session::is_paused() const { return held_ || out_.size() > out_bytes_max; }

void Session::consume(Bytes input) {
  while (!is_paused() && !closing_) {
    const Receiver::Event event = receiver_.next(input);
    if (event == Receiver::Event::needs_input) break;
    settle();
    // Nothing that came with STARTTLS outlives it (RFC 3207 section 6).
    if (tls_is_next_) input = {};
  }
  if (!closing_ && !input.empty())
    pending_.append(reinterpret_cast<const char*>(input.data()), input.size());
}

/// Decides what to do about the last event: at once, or after the delay of its stage.
void Session::settle() {
  decision_ = {};
  if (const auto stage = receiver_.stage()) decision_ = shard_.decide(*stage);
  if (decision_.delay == io::Duration::zero() || hurried_) return act();
  held_ = true;
  shard_.loop().timers().arm(timer_, shard_.loop().now() + decision_.delay);
}

void Session::act() {
  switch (decision_.action) {
    case Action::none:    return answer();
    case Action::reply:   return answer(decision_.reply);
    case Action::drop:    return drop();
    case Action::stall:   held_ = true; return;
    case Action::garbage: {
      std::string unsaid;
      receiver_.answer(unsaid, "500");
      out_ += garbage;
      return touch();
    }
    case Action::slow: {
      const size_t before = out_.size();
      answer();
      slow_ = out_.substr(before);
      out_.resize(before);
      slow_at_ = 0;
      held_ = true;
      return say_next_octet();
    }
  }
}

void Session::answer(std::optional<std::string_view> instead) {
  if (receiver_.stage() == Stage::block) return;
  const bool takes = !instead || instead->starts_with('2');
  if (receiver_.stage() == Stage::final_dot && takes && !shard_.options().directory.empty() &&
      !saving_)
    return save();
  const Receiver::Outcome outcome = receiver_.answer(out_, instead);
  if (outcome.taken) shard_.take(receiver_);
  if (instead && (instead->starts_with('4') || instead->starts_with('5')))
    shard_.tally().refusals += 1;
  if (outcome.close) closing_ = true;
  if (outcome.starts_tls) {
    tls_is_next_ = true;
    pending_.clear();
  }
  touch();
}

void Session::save() {
  held_ = true;
  std::string text = fmt::format("Return-Path: <{}>\r\n", receiver_.sender());
  for (const std::string& recipient : receiver_.recipients())
    text += fmt::format("Delivered-To: {}\r\n", recipient);
  text += receiver_.content();
  saving_ = std::make_unique<Saving>(
      shard_.proactor(), shard_.options().directory, shard_.next_file_name(), std::move(text), this,
      [](void* self, int32_t result) { static_cast<Session*>(self)->saved(result); });
}

/// Answers the final dot, which save() left open; that saving_ is set says that the message is not
/// to be saved again.
void Session::saved(int32_t result) {
  held_ = false;
  if (result < 0) {
    shard_.cannot_save(result);
    answer("451 4.3.0 Cannot save");
  } else if (decision_.action == Action::reply) {
    answer(decision_.reply);
  } else {
    answer();
  }
  saving_.reset();
  touch();
  resume();
}

void Session::timer_fired() {
  if (closing_) return;
  if (slow_at_ < slow_.size()) return say_next_octet();
  held_ = false;
  if (slow_.empty())
    act();
  else
    slow_.clear();
  resume();
}

void Session::say_next_octet() {
  out_ += slow_[slow_at_++];
  touch();
  shard_.loop().timers().arm(timer_, shard_.loop().now() + slow_interval);
}

/// Takes the input that lies there, and receives again if that was stopped.
void Session::resume() {
  if (closing_ || is_paused()) return;
  if (!pending_.empty()) {
    const std::string input = std::exchange(pending_, {});
    consume(std::as_bytes(std::span(input)));
  }
  if (!closing_ && !is_paused() && !receive_.in_flight) shard_.proactor().submit(receive_);
}

void Session::touch() {
  if (!std::exchange(touched_, true)) shard_.touch(*this);
}

void Session::flush() {
  touched_ = false;
  if (send_.in_flight) return;
  if (channel_ && channel_->is_open()) {
    channel_->send(out_, wire_);
    out_.clear();
    if (closing_) channel_->close(wire_);
  }
  std::string& ready = channel_ ? wire_ : out_;
  if (ready.empty() || gone_) return try_to_end();
  sending_.swap(ready);
  ready.clear();
  send_.bytes = std::as_bytes(std::span(sending_));
  shard_.proactor().submit(send_);
  resume();
}

void Session::sent(io::Send&, const io::Completion& completion) {
  if (completion.result < 0) gone_ = closing_ = true;
  if (!out_.empty() || !wire_.empty() || closing_) touch();
}

void Session::drop() {
  shard_.tally().drops += 1;
  closing_ = true;
  touch();
}

void Session::stop() {
  closing_ = true;
  touch();
}

void Session::try_to_end() {
  if (!closing_ || close_.in_flight || send_.in_flight || saving_) return;
  if (receive_.in_flight) {
    if (!receive_.cancelled) shard_.proactor().cancel(receive_);
    return;
  }
  shard_.proactor().submit(close_);
}

void Session::closed(io::CloseSocket&, const io::Completion&) {
  CHECK(!touched_);
  shard_.end(*this);
}

}  // namespace sluice::tools::sink
