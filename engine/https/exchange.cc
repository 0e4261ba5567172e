#include "engine/https/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/check.h"

namespace sluice::engine::https {

Exchange::Exchange(io::EventLoop& loop, Request request)
    : loop_(loop), request_(std::move(request)), ends_at_(loop.now() + end_within) {
  CHECK(!request_.addresses.empty());
  connect_.bind<&Exchange::connected>(this);
  receive_.bind<&Exchange::received>(this);
  send_.bind<&Exchange::sent>(this);
  close_.bind<&Exchange::closed>(this);
  timer_.bind<&Exchange::expired>(this);
  auto context = tls::Context::client({.must_verify = true, .authorities = request_.authorities});
  if (context) {
    context_ = *std::move(context);
    connect();
  } else {
    fail(fmt::format("{} {}", request_.authorities, context.error().message), true);
  }
}

Exchange::~Exchange() { CHECK(is_closed_); }

void Exchange::connect() {
  tries_next_ = is_asked_ = false;
  answer_.clear();
  to_send_.clear();
  channel_.reset();
  connect_.remote = request_.addresses[address_];
  loop_.proactor().submit(connect_);
  loop_.timers().arm(timer_, std::min(loop_.now() + connect_within, ends_at_));
}

void Exchange::connected(io::Connect& op, const io::Completion& completion) {
  if (completion.result == 0) socket_ = op.socket;
  if (is_ending_ || tries_next_) return close_when_idle();
  if (completion.result < 0) return try_next(std::strerror(-completion.result));
  loop_.timers().arm(timer_, ends_at_);
  channel_.emplace(context_, tls::Peer{.name = request_.host});
  channel_->start(to_send_);
  receive_.socket = send_.socket = socket_;
  loop_.proactor().submit(receive_);
  flush();
}

void Exchange::flush() {
  if (send_.in_flight || to_send_.empty() || is_ending_ || tries_next_) return;
  sending_ = std::exchange(to_send_, {});
  send_.bytes = std::as_bytes(std::span<const char>(sending_));
  loop_.proactor().submit(send_);
}

void Exchange::sent(io::Send&, const io::Completion&) {
  if (is_ending_ || tries_next_) return close_when_idle();
  flush();  // what broke the connection the receive tells
}

void Exchange::received(io::Receive&, const io::Completion& completion) {
  if (is_ending_ || tries_next_) return completion.more ? void() : close_when_idle();
  if (completion.result <= 0)
    return fail(completion.result == 0 ? "connection closed" : std::strerror(-completion.result));
  channel_->receive(completion.bytes, answer_, to_send_);
  if (channel_->is_open() && !std::exchange(is_asked_, true)) ask();
  if (channel_->state() == tls::Channel::State::failed)
    return fail(channel_->failure(), channel_->was_refused());
  flush();
  look_at(channel_->state() == tls::Channel::State::ended);
}

void Exchange::ask() {
  const bool is_ipv6 = request_.host.find(':') != std::string::npos;
  const uint16_t port = request_.addresses[address_].port();
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: {}", request_.method, request_.target,
                                 is_ipv6 ? "[" + request_.host + "]" : request_.host);
  constexpr uint16_t standard_port = 443;
  if (port != standard_port) head += fmt::format(":{}", port);
  head += fmt::format("\r\nUser-Agent: sluice\r\n{}Connection: close\r\n", request_.fields);
  if (request_.method != "GET") head += fmt::format("Content-Length: {}\r\n", request_.body.size());
  channel_->send(head + "\r\n" + request_.body, to_send_);
}

void Exchange::look_at(bool is_over) {
  auto reply = read_reply(answer_, is_over);
  if (!reply) return fail(reply.error());
  if (!*reply) return;
  result_ = std::move(**reply);
  close();
}

void Exchange::expired() {
  if (loop_.now() < ends_at_) return try_next("no connection within 10 s");
  fail("no answer within a minute");
}

void Exchange::try_next(std::string_view why) {
  if (++address_ == request_.addresses.size()) return fail(why);
  tries_next_ = true;
  if (connect_.in_flight && !connect_.cancelled) loop_.proactor().cancel(connect_);
  close_when_idle();
}

void Exchange::fail(std::string_view why, bool is_of_certificate) {
  if (is_ending_) return;
  result_ = std::unexpected(Failure{is_of_certificate, std::string(why)});
  close();
}

void Exchange::close() {
  is_ending_ = true;
  loop_.timers().cancel(timer_);
  for (io::Op* op : {static_cast<io::Op*>(&connect_), static_cast<io::Op*>(&receive_),
                     static_cast<io::Op*>(&send_)})
    if (op->in_flight && !op->cancelled) loop_.proactor().cancel(*op);
  close_when_idle();
}

void Exchange::close_when_idle() {
  if (connect_.in_flight || receive_.in_flight || send_.in_flight || close_.in_flight) return;
  if (socket_.is_open()) {
    close_.socket = std::exchange(socket_, {});
    return loop_.proactor().submit(close_);
  }
  if (is_ending_)
    is_closed_ = true;
  else
    connect();
}

void Exchange::closed(io::CloseSocket&, const io::Completion&) { close_when_idle(); }

}  // namespace sluice::engine::https
