#include "tools/sendmail/dialogue.h"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>

#include "engine/mail/template.h"

namespace sluice::tools {

namespace {

using engine::smtp::Server;
constexpr size_t read_bytes = 64 * 1024;

/// Dots that were put in front of lines (RFC 5321 section 4.5.2) are taken away.
std::string unstuffed(std::string_view wire) {
  std::string out;
  out.reserve(wire.size());
  while (!wire.empty()) {
    if (wire.front() == '.') wire.remove_prefix(1);
    const std::string_view line = wire.substr(0, std::min(wire.find('\n'), wire.size() - 1) + 1);
    out += line;
    wire.remove_prefix(line.size());
  }
  return out;
}

std::string with_domain(const std::string& address, const std::string& hostname) {
  return address.empty() || address.find('@') != address.npos ? address : address + "@" + hostname;
}

/// One wish for a message, as a hand-off has it: where recipients differ, that of who says nothing.
engine::smtp::Notify common_notify(std::span<const engine::smtp::IncomingRecipient> recipients) {
  const engine::smtp::Notify first = recipients.front().notify;
  return std::ranges::all_of(recipients, [&](const auto& r) { return r.notify == first; })
             ? first
             : engine::smtp::Notify{0};
}

}  // namespace

Dialogue::Dialogue(io::Proactor& proactor, const engine::Config& config)
    : proactor_(proactor),
      config_(config),
      options_{.hostname = config.hostname,
               .message_bytes_max = engine::mail::Template::message_bytes_max},
      server_(options_) {}

int Dialogue::run() {
  std::array<std::byte, read_bytes> room;
  server_.greet(out_);
  while (!server_.is_closed()) {
    if (!say()) return EX_IOERR;
    const ssize_t count = ::read(STDIN_FILENO, room.data(), room.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return EX_IOERR;
    if (count == 0) return EX_OK;  // what was not whole was never taken
    std::span<const std::byte> input(room.data(), static_cast<size_t>(count));
    for (auto event = server_.next(input, out_);
         event != Server::Event::needs_input && event != Server::Event::closed;
         event = server_.next(input, out_))
      deal_with(event);
  }
  return say() ? EX_OK : EX_IOERR;
}

void Dialogue::deal_with(Server::Event event) {
  switch (event) {
    case Server::Event::mail:
    case Server::Event::rcpt: server_.answer(out_); break;
    case Server::Event::content:
      content_.clear();
      server_.answer(out_);
      break;
    case Server::Event::piece:       content_ += server_.piece(); break;
    case Server::Event::message:     take_message(); break;
    case Server::Event::dropped:     content_.clear(); break;
    case Server::Event::auth:
    case Server::Event::starttls:
    case Server::Event::etrn:        server_.answer(out_, "502 5.5.1 Not here"); break;
    case Server::Event::needs_input:
    case Server::Event::replied:
    case Server::Event::closed:      break;
  }
}

void Dialogue::take_message() {
  const engine::smtp::Incoming& envelope = server_.envelope();
  LocalMail mail{.sender = with_domain(envelope.sender, config_.hostname),
                 .author = user_.name,
                 .notify = common_notify(envelope.recipients()),
                 .returned = envelope.returned,
                 .envelope_id = envelope.envelope_id};
  for (const engine::smtp::IncomingRecipient& recipient : envelope.recipients())
    mail.add_recipient(with_domain(recipient.address, config_.hostname));
  const std::string text = unstuffed(content_);
  content_.clear();
  const auto done =
      hand_off(proactor_, config_, user_, std::move(mail), engine::mail::LocalMessage(text));
  if (done) return server_.answer(out_);
  const std::string_view code = done.error().exit_code == EX_DATAERR ? "554 5.6.0 " : "451 4.3.0 ";
  server_.answer(out_, std::string(code) + done.error().lines.front());
}

/// False: nobody reads it.
bool Dialogue::say() {
  for (std::string_view left = out_; !left.empty();) {
    const ssize_t count = ::write(STDOUT_FILENO, left.data(), left.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    left.remove_prefix(static_cast<size_t>(count));
  }
  out_.clear();
  return true;
}

}  // namespace sluice::tools
