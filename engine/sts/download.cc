#include "engine/sts/download.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/check.h"

namespace sluice::engine::sts {
namespace {

/// `text/plain`, whatever parameters follow.
bool is_plain_text(const std::string& type) {
  constexpr std::string_view plain = "text/plain";
  if (strncasecmp(type.c_str(), plain.data(), plain.size()) != 0) return false;
  return type.size() == plain.size() || std::strchr("; \t", type[plain.size()]) != nullptr;
}

}  // namespace

Download::Download(io::EventLoop& loop, const Source& source)
    : loop_(loop),
      source_(source),
      host_("mta-sts." + source.domain),
      ends_at_(loop.now() + end_within) {
  CHECK(!source_.addresses.empty());
  connect_.bind<&Download::connected>(this);
  receive_.bind<&Download::received>(this);
  send_.bind<&Download::sent>(this);
  close_.bind<&Download::closed>(this);
  timer_.bind<&Download::expired>(this);
  auto context = tls::Context::client({.must_verify = true, .authorities = source_.authorities});
  if (context) {
    context_ = *std::move(context);
    connect();
  } else {
    fail(Fault::webpki, fmt::format("{} {}", source_.authorities, context.error().message));
  }
}

Download::~Download() { CHECK(is_closed_); }

void Download::connect() {
  tries_next_ = is_asked_ = false;
  answer_.clear();
  to_send_.clear();
  channel_.reset();
  connect_.remote = source_.addresses[address_];
  loop_.proactor().submit(connect_);
  loop_.timers().arm(timer_, std::min(loop_.now() + connect_within, ends_at_));
}

void Download::connected(io::Connect& op, const io::Completion& completion) {
  if (completion.result == 0) socket_ = op.socket;
  if (is_ending_ || tries_next_) return close_when_idle();
  if (completion.result < 0) return try_next(std::strerror(-completion.result));
  loop_.timers().arm(timer_, ends_at_);
  channel_.emplace(context_, tls::Peer{.name = host_});
  channel_->start(to_send_);
  receive_.socket = send_.socket = socket_;
  loop_.proactor().submit(receive_);
  flush();
}

void Download::flush() {
  if (send_.in_flight || to_send_.empty() || is_ending_ || tries_next_) return;
  sending_ = std::exchange(to_send_, {});
  send_.bytes = std::as_bytes(std::span<const char>(sending_));
  loop_.proactor().submit(send_);
}

void Download::sent(io::Send&, const io::Completion&) {
  if (is_ending_ || tries_next_) return close_when_idle();
  flush();  // what broke the connection the receive tells
}

void Download::received(io::Receive&, const io::Completion& completion) {
  if (is_ending_ || tries_next_) return completion.more ? void() : close_when_idle();
  if (completion.result <= 0)
    return fail(Fault::fetch,
                completion.result == 0 ? "connection closed" : std::strerror(-completion.result));
  channel_->receive(completion.bytes, answer_, to_send_);
  if (channel_->is_open() && !std::exchange(is_asked_, true))
    channel_->send(fmt::format("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {}\r\n"
                               "User-Agent: sluice\r\nAccept: text/plain\r\n"
                               "Connection: close\r\n\r\n",
                               host_),
                   to_send_);
  if (channel_->state() == tls::Channel::State::failed)
    return fail(channel_->was_refused() ? Fault::webpki : Fault::fetch, channel_->failure());
  flush();
  look_at(channel_->state() == tls::Channel::State::ended);
}

void Download::look_at(bool is_over) {
  const auto reply = read_reply(answer_, is_over);
  if (!reply) return fail(Fault::fetch, reply.error());
  if (*reply) take(**reply);
}

void Download::take(const HttpReply& reply) {
  if (reply.status != 200) return fail(Fault::fetch, fmt::format("HTTP status {}", reply.status));
  if (!is_plain_text(reply.type)) return fail(Fault::fetch, "what it serves is not text/plain");
  auto policy = parse_policy(reply.body);
  if (!policy) return fail(Fault::invalid, fmt::format("the policy {}", policy.error()));
  result_.policy = *std::move(policy);
  close();
}

void Download::expired() {
  if (loop_.now() < ends_at_) return try_next("no connection within 10 s");
  fail(Fault::fetch, "no answer within a minute");
}

void Download::try_next(std::string_view why) {
  if (++address_ == source_.addresses.size()) return fail(Fault::fetch, why);
  tries_next_ = true;
  if (connect_.in_flight && !connect_.cancelled) loop_.proactor().cancel(connect_);
  close_when_idle();
}

void Download::fail(Fault fault, std::string_view why) {
  if (is_ending_) return;
  result_.fault = {.fault = fault, .reason = fmt::format("sts: {}: {}", host_, why)};
  close();
}

void Download::close() {
  is_ending_ = true;
  loop_.timers().cancel(timer_);
  for (io::Op* op : {static_cast<io::Op*>(&connect_), static_cast<io::Op*>(&receive_),
                     static_cast<io::Op*>(&send_)})
    if (op->in_flight && !op->cancelled) loop_.proactor().cancel(*op);
  close_when_idle();
}

void Download::close_when_idle() {
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

void Download::closed(io::CloseSocket&, const io::Completion&) { close_when_idle(); }

}  // namespace sluice::engine::sts
