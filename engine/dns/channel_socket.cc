#include "engine/dns/channel_socket.h"

#include <algorithm>
#include <utility>

#include "io/check.h"

namespace sluice::engine::dns {

ChannelSocket::ChannelSocket(io::Proactor& proactor, User& user, int number, bool is_datagram)
    : proactor_(proactor), user_(user), number_(number) {
  connect_.datagram = is_datagram;
  connect_.bind<&ChannelSocket::connected>(this);
  receive_.bind<&ChannelSocket::received>(this);
  close_.bind<&ChannelSocket::closed>(this);
}

ChannelSocket::~ChannelSocket() {
  CHECK(!connect_.in_flight && !receive_.in_flight && !close_.in_flight && sending_.empty());
}

void ChannelSocket::connect(const io::SocketAddress& remote) {
  connect_.remote = remote;
  proactor_.submit(connect_);
}

void ChannelSocket::connected(io::Connect& op, const io::Completion& completion) {
  if (completion.result < 0) {
    if (is_closing_) return user_.closed(*this);
    return fail(-completion.result);
  }
  is_connected_ = true;
  receive_.socket = close_.socket = op.socket;
  if (is_closing_) return close_when_idle();
  proactor_.submit(receive_);
  flush();
}

void ChannelSocket::send(std::string octets) {
  if (is_closing_ || has_failed_) return;
  waiting_.push_back(std::move(octets));
  if (is_connected_) flush();
}

void ChannelSocket::flush() {
  if (!is_datagram() && !sending_.empty()) return;
  if (!is_datagram())
    for (; waiting_.size() > 1; waiting_.pop_back()) waiting_[0] += waiting_[1];
  for (std::string& octets : waiting_) {
    if (spare_.empty()) {
      spare_.push_back(std::make_unique<Sending>());
      spare_.back()->op.bind<&ChannelSocket::sent>(this);
    }
    sending_.push_back(std::move(spare_.back()));
    spare_.pop_back();
    Sending& sending = *sending_.back();
    sending.octets = std::move(octets);
    sending.op.socket = connect_.socket;
    sending.op.bytes = std::as_bytes(std::span(sending.octets));
    proactor_.submit(sending.op);
  }
  waiting_.clear();
}

void ChannelSocket::sent(io::Send& op, const io::Completion& completion) {
  const auto done = std::ranges::find(sending_, &op, [](const auto& s) { return &s->op; });
  CHECK(done != sending_.end());
  std::swap(*done, sending_.back());
  spare_.push_back(std::move(sending_.back()));
  sending_.pop_back();
  if (is_closing_) return close_when_idle();
  if (completion.result < 0) return fail(-completion.result);
  if (!waiting_.empty()) flush();
}

void ChannelSocket::received(io::Receive&, const io::Completion& completion) {
  if (is_closing_) {
    if (!completion.more) close_when_idle();
    return;
  }
  if (completion.more) return user_.received(*this, completion.bytes);
  if (is_datagram() && completion.result == 0) return proactor_.submit(receive_);
  fail(-completion.result);
}

void ChannelSocket::fail(int error) {
  if (std::exchange(has_failed_, true)) return;
  user_.failed(*this, error);
}

void ChannelSocket::close() {
  CHECK(!is_closing_);
  is_closing_ = true;
  waiting_.clear();
  if (connect_.in_flight) return proactor_.cancel(connect_);
  if (receive_.in_flight) proactor_.cancel(receive_);
  for (const auto& sending : sending_) proactor_.cancel(sending->op);
  close_when_idle();
}

void ChannelSocket::close_when_idle() {
  if (receive_.in_flight || !sending_.empty() || close_.in_flight) return;
  if (!is_connected_) return user_.closed(*this);
  proactor_.submit(close_);
}

void ChannelSocket::closed(io::CloseSocket&, const io::Completion&) { user_.closed(*this); }

}  // namespace sluice::engine::dns
