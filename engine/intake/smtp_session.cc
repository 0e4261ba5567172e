#include "engine/intake/smtp_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "engine/intake/address.h"
#include "engine/intake/large_letter.h"
#include "engine/intake/smtp_intake.h"
#include "engine/letter.h"
#include "engine/mail/received_field.h"
#include "engine/queue/rule.h"
#include "engine/recipient.h"
#include "io/check.h"

namespace sluice::engine::intake {

namespace {

// A session keeps its buffers from message to message; a large message must not stay with it.
constexpr std::string_view shutting_down = "421 4.3.2 Shutting down";
constexpr size_t bytes_kept = 32 * 1024;
constexpr size_t deadline_bytes = 64 * 1024;  // of content, within its deadline
// Beyond it a message has a segment of its own; the rest of spool::mail_bytes_max is for envelopes.
constexpr size_t content_bytes_max = spool::mail_bytes_max / 4 * 3;
constexpr std::string_view cannot_store =
    "452 4.3.1 Mail cannot be stored at the moment; try again later";

void shrink(std::string& text) {
  text.clear();
  if (text.capacity() > bytes_kept) text.shrink_to_fit();
}

mail::Completion completion_of(SubmissionPolicy policy, bool has_user) {
  switch (policy) {
    case SubmissionPolicy::always:    return mail::Completion::always;
    case SubmissionPolicy::never:     return mail::Completion::never;
    case SubmissionPolicy::automatic: break;
  }
  return has_user ? mail::Completion::always : mail::Completion::automatic;
}

/// The group of its destination.
std::string_view domain_of(std::string_view address) {
  return address.substr(address.rfind('@') + 1);
}

}  // namespace

SmtpSession::SmtpSession(SmtpIntake& intake, SmtpListenerPtr listener, io::Socket socket,
                         const io::SocketAddress& client)
    : intake_(intake),
      listener_(std::move(listener)),
      client_(client),
      server_(listener_->server),
      socket_(socket) {
  receive_.socket = send_.socket = close_.socket = socket;
  receive_.bind<&SmtpSession::received>(this);
  send_.bind<&SmtpSession::sent>(this);
  close_.bind<&SmtpSession::closed>(this);
  timer_.bind<&SmtpSession::expired>(this);
}

void SmtpSession::start(std::string_view instead) {
  if (listener_->is_implicit_tls()) {
    if (!instead.empty()) return lost();  // not worth a handshake
    channel_ = std::make_unique<tls::Channel>(listener_->tls);
    server_.tls_started();
  }
  server_.greet(out_, instead);
  receive_on();
  arm_deadline();
  intake_.mark(*this);
}

void SmtpSession::receive_on() {
  if (!receive_.in_flight && !gone_) intake_.loop().proactor().submit(receive_);
}

bool SmtpSession::is_paused() const {
  return server_.is_owed() || closing_ || is_shaking_hands() || out_.size() > output_bytes_max ||
         waits_for_room_;
}

bool SmtpSession::is_shaking_hands() const {
  return channel_ && channel_->state() == tls::Channel::State::handshake;
}

void SmtpSession::received(io::Receive&, const io::Completion& completion) {
  if (completion.result > 0) {
    if (closing_) return;
    return channel_ ? decrypt(completion.bytes) : take(completion.bytes);
  }
  if (closing_) return try_to_end();
  // Cancelled by ourselves: it goes on when there is room again.
  if (completion.result == -ECANCELED) return is_paused() ? void() : receive_on();
  lost();
}

/// What came in plaintext goes before the news that nothing follows.
void SmtpSession::decrypt(Bytes octets) {
  using State = tls::Channel::State;
  const bool was_shaking_hands = is_shaking_hands();
  std::string plain;
  channel_->receive(octets, plain, wire_);
  intake_.mark(*this);
  if (was_shaking_hands && channel_->is_established()) {
    if (!server_.is_tls()) server_.tls_started();
    is_certified_ = std::ranges::any_of(listener_->policy.allow_certificates,
                                        [&](const auto& name) { return channel_->is_peer(name); });
    arm_deadline();
  }
  if (!plain.empty()) take(std::as_bytes(std::span<const char>(plain)));
  if (channel_->state() == State::ended) lost();
  if (channel_->state() != State::failed || closing_) return;
  forget_content();
  closing_ = true;  // once the alert is sent
  arm_deadline();
}

/// In the order in which it came.
void SmtpSession::take(Bytes input) {
  if (!is_paused() && input_.empty()) work(input);
  input_.append(reinterpret_cast<const char*>(input.data()), input.size());
  if (input_.size() > input_bytes_max && receive_.in_flight && !receive_.cancelled)
    intake_.loop().proactor().cancel(receive_);
}

/// What was kept while an answer was owed.
void SmtpSession::resume() {
  if (is_paused()) return;
  const std::string kept = std::exchange(input_, {});
  Bytes input = std::as_bytes(std::span(kept));
  work(input);
  input_.append(reinterpret_cast<const char*>(input.data()), input.size());
  if (!is_paused()) receive_on();
}

void SmtpSession::work(Bytes& input) {
  intake_.mark(*this);
  while (!is_paused()) {
    const smtp::Server::Event event = server_.next(input, out_);
    if (event == smtp::Server::Event::needs_input) break;
    const uint64_t come = content_come_ / deadline_bytes;
    deal_with(event);
    if (event != smtp::Server::Event::piece || content_come_ / deadline_bytes != come)
      arm_deadline();
  }
  if (stopping_ && !awaits_durability() && !server_.is_in_content()) abort(shutting_down);
}

void SmtpSession::deal_with(smtp::Server::Event event) {
  using Event = smtp::Server::Event;
  switch (event) {
    case Event::needs_input:
    case Event::replied:     break;
    case Event::mail:        begin_transaction(); break;
    case Event::rcpt:        answer(objection_to_recipient()); break;
    case Event::content:     begin_content(); break;
    case Event::piece:       take_piece(); break;
    case Event::message:     hand_over(); break;
    case Event::dropped:     forget_content(); break;
    case Event::etrn:        start_queue(); break;
    case Event::auth:        check_password(); break;
    case Event::starttls:    begin_tls(); break;
    case Event::closed:      forget_content(); closing_ = true;
  }
}

// ---- TLS, AUTH, ETRN ------------------------------------------------------------------------

/// What was said up to here, the 220 at its end, goes out as it is; no octet of the client's is
/// kept that came before it.
void SmtpSession::begin_tls() {
  answer();
  CHECK(input_.empty() && wire_.empty());
  wire_.swap(out_);
  channel_ = std::make_unique<tls::Channel>(listener_->tls);
}

void SmtpSession::run(Errand&& errand) { errand_ = intake_.run(*this, std::move(errand)); }

void SmtpSession::check_password() {
  run({.users = listener_->users, .credentials = server_.credentials(), .client = client_});
  if (!errand_) answer("454 4.7.0 Too many wait for their passwords to be checked; try again");
}

/// Who guesses waits for the answer, and gets few of them over one session.
void SmtpSession::refuse_password(bool was_looked_at, io::Duration delay) {
  late_reply_ = was_looked_at ? "535 5.7.8 Authentication credentials invalid"
                              : "454 4.7.0 Too many wrong passwords from there; try again later";
  if (++wrong_passwords_ == wrong_passwords_max) late_reply_ = "421 4.7.0 Too many wrong passwords";
  intake_.loop().timers().arm(timer_, intake_.loop().now() + delay);
}

/// RFC 1985: what waits for a destination, or with `@` for all below it too, goes on. `#queue` is
/// of no meaning here.
void SmtpSession::start_queue() {
  const std::string& target = server_.etrn_target();
  if (!may_relay()) return answer(fmt::format("459 4.7.0 Node {} not allowed", target));
  std::string domain;
  const std::string_view name = std::string_view(target).substr(target.starts_with('@') ? 1 : 0);
  if (!normalise_domain(name, domain)) return answer("501 5.5.4 That names no destination");
  queue::Rule rule{
      .action = queue::Rule::Action::etrn, .at = intake_.loop().wall(), .destination = domain};
  Errand errand{.rules = {rule.encode()}};
  if (target.starts_with('@')) {
    rule.destination = "*." + domain;
    errand.rules.push_back(rule.encode());
  }
  run(std::move(errand));
  if (!errand_) answer(fmt::format("458 4.3.0 Unable to queue messages for node {}", target));
}

void SmtpSession::errand_done(const ErrandResult& result) {
  using enum ErrandResult::Outcome;
  errand_.reset();
  if (closing_) return try_to_end();
  arm_deadline();
  if (server_.owed() == smtp::Server::Event::etrn) {
    const std::string& target = server_.etrn_target();
    answer(result.outcome == done
               ? fmt::format("250 2.0.0 OK, queuing for node {} started", target)
               : fmt::format("458 4.3.0 Unable to queue messages for node {}", target));
  } else if (result.outcome == done) {
    wrong_passwords_ = 0;
    answer();
  } else {
    if (result.outcome == refused) intake_.tell_of_wrong_password(*this);
    return refuse_password(result.outcome == refused, result.delay);
  }
  intake_.mark(*this);
  resume();
}

// ---- A message ------------------------------------------------------------------------------

bool SmtpSession::may_relay() const {
  return !server_.user().empty() || is_certified_ || listener_->allow.contains(client_);
}

/// Whom its messages are counted for.
std::string SmtpSession::client_key() const {
  return server_.user().empty() ? "a" + LoginFailures::key(client_) : "u" + server_.user();
}

void SmtpSession::begin_transaction() {
  if (const std::string_view why = intake_.pressure(); !why.empty()) return answer(why);
  const io::Duration wait = listener_->rates->take(client_key(), intake_.loop().now());
  if (wait == io::Duration::zero()) return answer();
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  answer(fmt::format("450 4.7.1 Too many messages from you; try again in {} s", seconds));
}

std::string_view SmtpSession::objection_to_recipient() {
  return may_relay() ? std::string_view() : "550 5.7.1 Relaying denied";
}

void SmtpSession::begin_content() {
  if (const std::string_view why = intake_.pressure(); !why.empty()) return answer(why);
  answer();
  const smtp::Incoming& envelope = server_.envelope();
  message_id_ = intake_.new_message_id();
  const std::string tls = channel_ ? channel_->description() : "";
  std::string received;
  mail::append_received(
      received, {.client_name = server_.client_name(),
                 .client = client_,
                 .hostname = intake_.hostname(),
                 .protocol = server_.protocol(),
                 .tls = tls,
                 .id = std::string_view(message_id_).substr(1, message_id_.find('@') - 1),
                 .recipient = envelope.recipients().size() == 1 ? envelope.recipients()[0].address
                                                                : std::string_view(),
                 .time = intake_.loop().wall()});
  head_.begin(completion_of(listener_->policy.submission, !server_.user().empty()), message_id_,
              intake_.loop().wall());
  store(received);
}

void SmtpSession::take_piece() {
  std::string_view piece = server_.piece();
  for (std::string_view octets; !(octets = head_.next(piece)).empty();) store(octets);
}

void SmtpSession::store(std::string_view octets) {
  content_come_ += octets.size();
  if (large_) {
    large_->append(octets);
    waits_for_room_ = !large_->has_room();
    return;
  }
  if (!intake_.reserve(octets.size())) {
    forget_content();
    return server_.refuse_message("452 4.3.1 Too much mail is on its way in; try again later");
  }
  content_ += octets;
  if (content_.size() > content_bytes_max) begin_large();
}

/// Memory is left to others: what came goes to the disk, and all that comes.
void SmtpSession::begin_large() {
  large_ = &intake_.begin_large(*this, priority_of(content_));
  large_->append(content_);
  waits_for_room_ = !large_->has_room();
  intake_.give_back(content_.size());
  shrink(content_);
}

void SmtpSession::hand_over() {
  if (const std::string_view octets = head_.end(); !octets.empty()) store(octets);
  if (head_.is_loop()) {
    forget_content();
    return answer("554 5.4.6 Too many hops; this mail goes in circles");
  }
  const smtp::Incoming& incoming = server_.envelope();
  const bool is_utf8 =
      incoming.is_smtputf8 && (server_.is_8bit() || incoming.sender_needs_smtputf8);
  const LetterEnvelope envelope{
      .needs = static_cast<uint8_t>((server_.is_8bit() ? Recipient::needs_8bit : 0) |
                                    (is_utf8 ? Recipient::needs_smtputf8 : 0) |
                                    (incoming.is_tls_required ? Recipient::needs_requiretls : 0)),
      .returned = incoming.returned,
      .sender = incoming.sender,
      .envelope_id = incoming.envelope_id,
      .message_id = head_.message_id()};
  std::string octets;
  envelope.encode(octets);
  const size_t envelope_end = octets.size();
  std::vector<size_t> ends;
  std::string address;
  for (const smtp::IncomingRecipient& recipient : incoming.recipients()) {
    address = recipient.address;
    if (address.find('@') == address.npos) address += "@" + intake_.hostname();
    Recipient entry{.flags = recipient.needs_smtputf8 ? Recipient::needs_smtputf8 : uint8_t{0},
                    .address = address,
                    .fields = {smtp::notify_text(recipient.notify), recipient.original}};
    entry.encode(octets);
    ends.push_back(octets.size());
  }
  std::vector<spool::MailRecipient> recipients;
  size_t begin = envelope_end;
  const auto bytes = std::as_bytes(std::span(octets));
  for (size_t i = 0; i < ends.size(); begin = ends[i++]) {
    const std::string_view to = incoming.recipients()[i].address;
    recipients.push_back({.group = to.find('@') == to.npos ? intake_.hostname() : domain_of(to),
                          .entry = bytes.subspan(begin, ends[i] - begin)});
  }
  const std::array content{std::as_bytes(std::span<const char>(content_))};
  spool::NewMail mail{.envelope = bytes.first(envelope_end),
                      .sender = domain_of(incoming.sender),
                      .recipients = recipients,
                      .content = content};
  if (!large_ && spool::mail_payload_bytes(mail) > spool::mail_bytes_max) begin_large();
  if (large_) {
    mail.content = {};
    if (spool::mail_payload_bytes(mail) + sizeof(uint64_t) > spool::mail_bytes_max) {
      forget_content();
      return answer("552 5.3.4 Message too large");
    }
    return large_->finish(mail, incoming.sender, head_.message_id());
  }
  ticket_ =
      intake_.hand_over(*this, mail, priority_of(content_), incoming.sender, head_.message_id());
  forget_content();
  if (!ticket_) answer(cannot_store);
}

void SmtpSession::has_room_again() {
  waits_for_room_ = false;
  resume();
}

void SmtpSession::content_refused() {
  waits_for_room_ = false;
  const bool is_whole = std::exchange(large_, nullptr)->is_finished();
  if (is_whole) return message_answered(cannot_store);
  server_.refuse_message(cannot_store);
  resume();
}

void SmtpSession::message_answered(std::string_view reply) {
  ticket_.reset();
  large_ = nullptr;
  waits_for_room_ = false;
  content_come_ = 0;
  if (closing_) return try_to_end();
  answer(reply);
  arm_deadline();
  intake_.mark(*this);
  resume();
}

void SmtpSession::forget_content() {
  if (large_) std::exchange(large_, nullptr)->forget();
  waits_for_room_ = false;
  content_come_ = 0;
  intake_.give_back(content_.size());
  shrink(content_);
}

/// For a whole command, or so much content: who sends an octet a second does not move it.
void SmtpSession::arm_deadline() {
  const ListenPolicy& policy = listener_->policy;
  const io::Duration limit =
      server_.is_in_content() ? policy.content_timeout : policy.command_timeout;
  intake_.loop().timers().arm(timer_, intake_.loop().now() + limit);
  intake_.stepped(*this);
}

void SmtpSession::expired() {
  if (closing_ || gone_) return lost();  // it does not read its last reply
  // We are the slow ones.
  if (awaits_durability() || waits_for_room_ || errand_) return arm_deadline();
  if (!late_reply_.empty()) {
    answer(std::exchange(late_reply_, {}));
    arm_deadline();
    intake_.mark(*this);
    return resume();
  }
  if (is_shaking_hands()) return lost();
  server_.close(out_, "421 4.4.2 Timed out");
  forget_content();
  closing_ = true;
  arm_deadline();
  intake_.mark(*this);
}

void SmtpSession::stop() {
  stopping_ = true;
  if (!awaits_durability() && !server_.is_in_content()) abort(shutting_down);
}

bool SmtpSession::may_yield() const {
  return !closing_ && !gone_ && !awaits_durability() && !errand_ && !server_.is_in_content();
}

void SmtpSession::abort(std::string_view reply) {
  if (closing_) return;
  server_.close(out_, reply);
  forget_content();
  closing_ = true;
  intake_.mark(*this);
}

void SmtpSession::turn_ended() {
  if (send_.in_flight || gone_) return;
  if (channel_ && channel_->is_open()) {
    channel_->send(out_, wire_);
    shrink(out_);
    if (closing_) channel_->close(wire_);
  }
  if (!has_output()) return closing_ ? try_to_end() : void();
  sending_.clear();
  sending_.swap(channel_ ? wire_ : out_);
  send_.bytes = std::as_bytes(std::span<const char>(sending_));
  intake_.loop().proactor().submit(send_);
}

void SmtpSession::sent(io::Send&, const io::Completion& completion) {
  if (gone_ || completion.result < 0) return lost();
  shrink(sending_);
  intake_.mark(*this);
  if (!closing_) resume();
}

void SmtpSession::lost() {
  gone_ = closing_ = true;
  forget_content();
  try_to_end();
}

/// What was said before a handshake is over, or after TLS failed, will not be.
bool SmtpSession::has_output() const {
  if (!channel_) return !out_.empty();
  return !wire_.empty() || (channel_->is_open() && !out_.empty());
}

void SmtpSession::try_to_end() {
  if (!gone_ && (send_.in_flight || has_output())) return;
  if (ticket_) intake_.forget(*std::exchange(ticket_, std::nullopt));
  if (errand_) intake_.forget_errand(*std::exchange(errand_, std::nullopt));
  gone_ = closing_ = true;
  intake_.loop().timers().cancel(timer_);
  io::Proactor& proactor = intake_.loop().proactor();
  for (io::Op* op : {static_cast<io::Op*>(&receive_), static_cast<io::Op*>(&send_)})
    if (op->in_flight && !op->cancelled) proactor.cancel(*op);
  if (receive_.in_flight || send_.in_flight || close_.in_flight) return;
  if (!socket_.is_open()) return;
  socket_ = {};
  proactor.submit(close_);
}

void SmtpSession::closed(io::CloseSocket&, const io::Completion&) { intake_.ended(*this); }

}  // namespace sluice::engine::intake
