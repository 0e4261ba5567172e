#include "engine/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "engine/outlet.h"
#include "engine/shard.h"
#include "io/check.h"

namespace sluice::engine {

using smtp::Stage;

namespace {

/// Of this machine, whatever the host.
bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

std::string error_text(int error) {
  std::string text = std::strerror(error);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

}  // namespace

Session::Session(Outlet& outlet)
    : outlet_(outlet), shard_(outlet.shard()), tls_(outlet.shard().tls()) {
  connect_.bind<&Session::connected>(this);
  receive_.bind<&Session::received>(this);
  send_.bind<&Session::sent>(this);
  close_.bind<&Session::closed>(this);
  timer_.bind<&Session::expired>(this);
}

Session::~Session() {
  if (block_ != nullptr) shard_.buffers().release(block_);
}

void Session::start() {
  phase_began_ = shard_.loop().now();
  attempt_ = outlet_.attempt();
  outlet_.take(envelopes_[0], recipients_max());
  connect();
}

void Session::connect() {
  state_ = State::connecting;
  next_host_ = same_host_ = settled_ = false;
  connect_.remote = host().address;
  source_ = source_tried_ = outlet_.source(connect_.remote.family());
  submit_connect();
}

void Session::submit_connect() {
  connect_.local = source_ ? source_->local : io::SocketAddress();
  shard_.loop().proactor().submit(connect_);
  arm_deadline();
}

void Session::connected(io::Connect& op, const io::Completion& completion) {
  charge_phase();
  if (completion.result == 0) socket_ = op.socket;
  if (state_ == State::closing) return close_when_idle();
  if (is_shortage(-completion.result)) return not_now();
  if (source_ && completion.result == -EADDRNOTAVAIL) return bind_elsewhere();
  if (completion.result < 0) return lost(error_text(-completion.result));
  local_ = op.local;
  state_ = State::open;
  broken_ = false;
  smtp::Opening opening = tls_.connected(outlet_.route().policy, host(), shard_.loop().now());
  for (uint64_t& part : opening.nonce) part = shard_.loop().proactor().random();
  client_.emplace(hostname(), static_cast<smtp::Client::Listener&>(*this), opening);
  receive_.socket = socket_;
  shard_.loop().proactor().submit(receive_);
  after_event();
}

void Session::received(io::Receive&, const io::Completion& completion) {
  if (state_ == State::closing) return completion.more ? void() : close_when_idle();
  charge_phase();
  looked_again_ = false;
  if (completion.result > 0) return take(completion.bytes);
  lost(completion.result == 0 ? "connection closed by peer" : error_text(-completion.result));
}

/// What came in plaintext goes before the news that nothing follows.
void Session::take(std::span<const std::byte> octets) {
  std::span<const char> plain{reinterpret_cast<const char*>(octets.data()), octets.size()};
  if (tls_.is_on()) {
    plain = tls_.receive(octets);
    if (client_->awaits_tls() && tls_.is_established())
      client_->tls_started(tls_.is_authenticated());
  }
  if (!plain.empty()) client_->receive(plain);
  const std::string failure = tls_.failure();
  if (!failure.empty() && !client_->is_closed()) return lost(failure);
  after_event();
}

void Session::sent(io::Send&, const io::Completion& completion) {
  sending_ = {};
  if (state_ == State::closing) return close_when_idle();
  charge_phase();
  sent_some_ = true;
  if (completion.result >= 0) return after_event();
  if (!receive_.in_flight) return lost(error_text(-completion.result));
  // The connection broke; its receive tells what the peer said before that, and then ends. Nothing
  // more is produced: what is produced counts as sent.
  broken_ = true;
}

/// What the peer says it takes is known when the session is open.
unsigned Session::recipients_max() const {
  const uint32_t told = client_ ? client_->extensions().recipients_max : 0;
  return std::min({outlet_.route().policy.recipients_per_transaction_max,
                   static_cast<uint32_t>(smtp::Client::recipients_max), recipients_taken_,
                   told > 0 ? told : UINT_MAX});
}

uint32_t Session::transactions_max() const {
  const uint32_t told = client_->extensions().transactions_max;
  return std::min(outlet_.route().policy.messages_per_session_max, told > 0 ? told : UINT_MAX);
}

bool Session::fill() {
  bool offered = false;
  if (finishing_ || !opened_) return offered;
  while (client_->wants_transaction()) {
    if (transactions_ >= transactions_max()) {
      client_->quit();
      return offered;
    }
    // What was taken before the session was open, or an earlier host returned, goes first.
    auto envelope = std::ranges::find_if(envelopes_, &Envelope::waits);
    if (envelope == envelopes_.end())
      envelope = std::ranges::find_if(envelopes_, &Envelope::is_free);
    CHECK(envelope != envelopes_.end());
    if (envelope->is_free() && !outlet_.take(*envelope, recipients_max())) return offered;
    for (; envelope->size() > recipients_max(); envelope->drop_last())
      outlet_.put_back(*envelope, envelope->size() - 1);
    smtp::Transaction transaction = envelope->transaction();
    content(*envelope).begin(*envelope, transaction,
                             {*this, shard_.loop().proactor(), shard_.signing_desk()});
    transaction.withholds_dot = shard_.in_doubt() != InDoubtPolicy::resend;
    ++transactions_;
    envelope->is_offered = true;
    envelope->number = client_->offer(transaction);
    offered = true;
  }
  return offered;
}

void Session::pump() {
  waits_for_buffer_ = false;
  if (send_.in_flight || broken_) return;
  if (client_->awaits_tls() && !tls_.is_on()) tls_.begin();
  if (!tls_.outgoing().empty()) return send_outgoing();
  fill();
  if (block_ == nullptr && (block_ = shard_.buffers().acquire()) == nullptr) {
    waits_for_buffer_ = true;
    return shard_.wait_for_buffer(*this);
  }
  const std::span<char> block(block_, SendBuffers::block_bytes);
  const std::span<char> room = tls_.is_on() ? tls_.room() : block;
  size_t size = 0;
  while (room.size() - size >= smtp::Client::produce_bytes_min) {
    const size_t produced = client_->produce(room.subspan(size));
    size += produced;
    // A transaction that was refused here, for want of an extension, makes room for another.
    if (!fill() && produced == 0) break;
  }
  if (size == 0) {
    shard_.buffers().release(std::exchange(block_, nullptr));
    return;
  }
  if (tls_.is_on()) size = tls_.encrypt(size, block);
  send_.socket = socket_;
  send_.bytes = std::as_bytes(block.first(size));
  shard_.loop().proactor().submit(send_);
}

void Session::send_outgoing() {
  sending_ = std::exchange(tls_.outgoing(), {});
  send_.socket = socket_;
  send_.bytes = std::as_bytes(std::span<const char>(sending_));
  shard_.loop().proactor().submit(send_);
}

void Session::after_event() {
  if (!client_->is_closed()) pump();
  if (client_->is_closed()) return close();
  Content* const awaited = awaited_content();
  if (awaited && !awaited->failure().empty()) return lost(awaited->failure());
  if (awaited) awaited->ask();
  if (waits_for_buffer_ || awaited)
    return shard_.loop().timers().cancel(timer_);  // our delay, not the peer's
  arm_deadline();
  if (client_->stage() == Stage::idle && !send_.in_flight && !std::exchange(idles_, true))
    outlet_.session_idles(*this);
}

/// The one that is being sent, when all that there was of it is: our disk is slow, or it is not
/// signed yet.
Content* Session::awaited_content() {
  if (client_->stage() != Stage::block || send_.in_flight) return nullptr;
  const Envelope* first = nullptr;
  for (const Envelope& envelope : envelopes_)
    if (envelope.is_offered && (first == nullptr || envelope.number < first->number))
      first = &envelope;
  return first == nullptr || content(*first).is_ready() ? nullptr : &content(*first);
}

void Session::content_loaded() {
  if (state_ == State::closing) return close_when_idle();
  if (state_ == State::open && !send_.in_flight) resume();
}

void Session::resume() {
  idle_no_more();
  if (state_ != State::open) return;
  charge_phase();
  after_event();
}

void Session::idle_no_more() {
  if (std::exchange(idles_, false)) outlet_.session_busy(*this);
}

void Session::finish() {
  finishing_ = true;
  next_host_ = false;
  if (state_ == State::closing) return;
  if (state_ == State::connecting) return lost("stopping");
  idle_no_more();
  client_->quit();
  after_event();
}

void Session::abort(std::string_view reason) {
  next_host_ = false;
  if (state_ != State::closing) lost(reason);
}

smtp::Stage Session::stage() const {
  return state_ == State::connecting || !client_ ? Stage::connect : client_->stage();
}

void Session::arm_deadline() {
  // A whole reply, a new stage or octets that went out are progress; octets that came in are not,
  // or a peer that sends one a second would be waited for without end.
  const uint64_t replies = client_ ? client_->replies() : 0;
  const bool progress =
      std::exchange(sent_some_, false) || replies != replies_ || stage() != phase_;
  if (!progress && timer_.is_armed()) return;
  replies_ = replies;
  phase_ = stage();
  const io::Duration timeout = outlet_.route().policy.timeout[static_cast<size_t>(phase_)];
  shard_.loop().timers().arm(timer_, shard_.loop().now() + timeout);
}

void Session::charge_phase() {
  const io::Instant now = shard_.loop().now();
  phases_us_[static_cast<size_t>(phase_)] +=
      static_cast<uint32_t>((now - phase_began_) / std::chrono::microseconds(1));
  phase_began_ = now;
}

void Session::expired() {
  if (state_ == State::closing) {  // it does not take our goodbye
    if (send_.in_flight && !send_.cancelled) shard_.loop().proactor().cancel(send_);
    return;
  }
  charge_phase();
  const Stage waited_for = stage();
  if (waited_for == Stage::idle) {
    idle_no_more();
    client_->quit();
    return after_event();
  }
  if (waited_for == Stage::quit) return close();
  // A 250 that already lies in the socket is a delivered message, and a wrong guess a duplicate:
  // look once more.
  if (waited_for == Stage::final_dot && !std::exchange(looked_again_, true)) {
    shard_.loop().timers().arm(timer_, shard_.loop().now() + io::TimerWheel::tick);
    return;
  }
  const io::Duration timeout = outlet_.route().policy.timeout[static_cast<size_t>(waited_for)];
  lost(fmt::format("timed out after {:g} s", std::chrono::duration<double>(timeout).count()));
}

void Session::lost(std::string_view reason) {
  if (state_ == State::open) {
    client_->fail(reason);  // runs session_failed()
    return close();
  }
  session_failed({.result = smtp::Result::transient,
                  .scope = smtp::Scope::host,
                  .stage = Stage::connect,
                  .text = {},
                  .reason = reason});
  close();
}

/// No fault of the host, and no attempt of anybody: another session begins anew later.
void Session::not_now() {
  shard_.socket_refused();
  close();
}

/// The machine has not this address, or no port is left with it: another of the source, another
/// host's family, or no fault of anybody else either.
void Session::bind_elsewhere() {
  source_ = &outlet_.other_source(*source_);
  if (source_ != source_tried_) return submit_connect();
  if (has_next_host()) {
    next_host_ = true;
    return close();
  }
  auto setback = std::make_shared<Setback>();
  setback->is_ours = true;
  setback->reason = fmt::format("connect: source \"{}\": {} is no address of this machine",
                                source_->source, source_->text());
  setback->host = host().name;
  setback->remote = host().address;
  shard_.counters().sessions_failed.add();
  outlet_.session_refused(std::move(setback));
  close();
}

std::string_view Session::hostname() const {
  return source_ && !source_->hostname.empty() ? source_->hostname : shard_.hostname();
}

void Session::close() {
  state_ = State::closing;
  if (std::exchange(intends_, false)) shard_.fates().forget(*this);
  shard_.loop().timers().cancel(timer_);
  idle_no_more();
  io::Proactor& proactor = shard_.loop().proactor();
  for (io::Op* op : {static_cast<io::Op*>(&connect_), static_cast<io::Op*>(&receive_),
                     static_cast<io::Op*>(&send_)})
    if (op->in_flight && !op->cancelled) proactor.cancel(*op);
  if (tls_.is_on() && socket_.is_open() && !broken_ && !send_.in_flight) say_goodbye();
  close_when_idle();
}

/// The alert that says why, or that nothing follows (RFC 8446 section 6.1).
void Session::say_goodbye() {
  tls_.close();
  if (tls_.outgoing().empty()) return;
  send_outgoing();
  const io::Duration timeout = outlet_.route().policy.timeout[static_cast<size_t>(Stage::quit)];
  shard_.loop().timers().arm(timer_, shard_.loop().now() + timeout);
}

void Session::close_when_idle() {
  if (connect_.in_flight || receive_.in_flight || send_.in_flight || close_.in_flight ||
      std::ranges::any_of(contents_, &Content::is_in_flight))
    return;
  if (block_ != nullptr) shard_.buffers().release(std::exchange(block_, nullptr));
  if (!socket_.is_open()) return ended();
  shard_.loop().timers().cancel(timer_);
  close_.socket = std::exchange(socket_, {});
  shard_.loop().proactor().submit(close_);
}

void Session::closed(io::CloseSocket&, const io::Completion&) { ended(); }

void Session::ended() {
  shard_.stop_waiting_for_buffer(*this);
  if (next_host_) {
    if (!same_host_) ++host_;
    client_.reset();
    return connect();
  }
  count_phases();
  for (Envelope& envelope : envelopes_) {
    for (unsigned i = 0; i < envelope.size(); ++i)
      if (!envelope.has_ended(i)) outlet_.put_back(envelope, i);
    envelope.release();
  }
  outlet_.session_ended(*this, opened_);
}

bool Session::has_next_host() const {
  return !opened_ && !finishing_ && host_ + 1u < attempt_.order.size() && !shard_.is_stopping();
}

Envelope& Session::of(smtp::TransactionNumber transaction) {
  const auto envelope = std::ranges::find_if(
      envelopes_, [&](const Envelope& e) { return e.is_offered && e.number == transaction; });
  CHECK(envelope != envelopes_.end());
  return *envelope;
}

void Session::recipient_ended(smtp::TransactionNumber transaction, unsigned recipient,
                              const smtp::Verdict& verdict) {
  constexpr uint16_t closing = 421;
  if (verdict.code != 0 && verdict.code != closing && !std::exchange(proven_, true))
    outlet_.session_proven();
  charged_ = true;
  Envelope& envelope = of(transaction);
  envelope.accepted += verdict.stage > Stage::rcpt;
  record(envelope, recipient, verdict);
  // To tell of one begins the content anew; of several, some may be to get it yet.
  if (envelope.size() > 1) envelope.rewind();
}

/// No attempt of it: the peer took others, and will take this one beside fewer.
void Session::recipient_returned(smtp::TransactionNumber transaction, unsigned recipient) {
  Envelope& envelope = of(transaction);
  envelope.was_split = true;
  outlet_.put_back(envelope, recipient);
}

void Session::transaction_ended(smtp::TransactionNumber transaction) {
  Envelope& envelope = of(transaction);
  // Without pipelining, each RCPT in vain is a round trip.
  if (envelope.was_split) recipients_taken_ = std::max(envelope.accepted, 1u);
  content(envelope).end();
  envelope.release();
  count_phases();
}

void Session::count_phases() {
  phases_us_[static_cast<size_t>(Stage::idle)] = 0;  // nobody's wait
  shard_.counters().observe_phases(phases_us_);
  phases_us_ = {};
}

void Session::transaction_returned(smtp::TransactionNumber transaction) {
  Envelope& envelope = of(transaction);
  envelope.is_offered = false;
  content(envelope).end();
}

/// What is not to be sent twice, whatever happens: that it may have been sent is on the disk first.
void Session::dot_withheld(smtp::TransactionNumber transaction) {
  const Envelope& envelope = of(transaction);
  std::vector<Item> items;
  for (unsigned i = 0; i < envelope.size(); ++i) {
    if (envelope.has_ended(i)) continue;
    items.push_back(envelope.item(i));
    ++items.back().attempts;
  }
  intends_ = true;
  shard_.fates().intend(envelope.mailing(), items, *this, transaction);
}

void Session::intent_durable(smtp::TransactionNumber transaction) {
  intends_ = false;
  if (state_ != State::open) return;
  client_->release_dot(transaction);
  resume();
}

void Session::session_opened() {
  opened_ = true;
  note_tls("");
  shard_.counters().sessions_opened.add();
  outlet_.session_opened(host().address);
}

void Session::session_failed(const smtp::Verdict& verdict) {
  if (std::exchange(settled_, true)) return;
  if (!opened_ && verdict.stage == Stage::starttls) note_tls(reason_of(verdict));
  if (!opened_ && !finishing_ && !shard_.is_stopping() && tls_.falls_back(shard_.loop().now())) {
    next_host_ = same_host_ = true;
    return;
  }
  if (!opened_ && !shard_.is_stopping()) outlet_.host_failed(host().address);
  if (has_next_host()) {
    next_host_ = true;
    return;
  }
  if (proven_ || shard_.is_stopping()) return;
  if (opened_) return session_fruitless(verdict);
  shard_.counters().sessions_failed.add();
  outlet_.session_refused(setback_of(verdict));
}

void Session::note_tls(std::string_view reason) {
  if (!tls_.is_wanted()) return;
  if (reason.empty() && host().sts) reason = host().sts->finding.reason;
  const Route& route = outlet_.route();
  // A report on a report would have another as its answer, and so for ever.
  const bool is_reported = route.is_by_mx() && !route.policy.is_tls_optional;
  shard_.note_tls({.policy = tls_.policy_type(),
                   .result = tls_.result(),
                   .domain = is_reported ? std::string_view(route.name) : std::string_view(),
                   .mx = host().name,
                   .host = &host(),
                   .local = &local_,
                   .reason = reason});
}

SetbackPtr Session::setback_of(const smtp::Verdict& verdict) {
  auto setback = std::make_shared<Setback>();
  setback->stage = verdict.stage;
  setback->code = verdict.code;
  setback->enhanced = verdict.enhanced;
  setback->text = verdict.text;
  setback->reason = reason_of(verdict);
  setback->host = host().name;
  setback->remote = host().address;
  setback->phases_us = phases_us_;
  return setback;
}

/// It opened and came to nothing: that counts for one whom it held, or it would be tried again
/// without end.
void Session::session_fruitless(const smtp::Verdict& verdict) {
  outlet_.session_refused(nullptr);
  if (charged_) return;
  const auto envelope = std::ranges::find_if(envelopes_, &Envelope::waits);
  if (envelope == envelopes_.end()) return;
  smtp::Verdict of_host = verdict;
  of_host.scope = smtp::Scope::host;
  record(*envelope, 0, of_host);
}

/// `connect: no route to host`: our words, after the phase they are about; and the policy without
/// which TLS would be no obstacle.
std::string Session::reason_of(const smtp::Verdict& verdict) {
  const bool is_of_tls = verdict.stage == Stage::starttls;
  if (verdict.reason.empty() && !is_of_tls) return {};
  std::string reason =
      fmt::format("{}: {}", name(verdict.stage),
                  verdict.reason.empty() ? std::string_view("refused") : verdict.reason);
  const std::string demand = is_of_tls ? tls_.demand() : std::string();
  return demand.empty() ? reason : fmt::format("{}; {}", reason, demand);
}

void Session::record(Envelope& envelope, unsigned recipient, const smtp::Verdict& verdict) {
  const Route& route = outlet_.route();
  const Mailing& mailing = envelope.mailing();
  Held& held = envelope.at_hand(recipient);
  Item item = held.item;
  envelope.end(recipient);
  ++item.attempts;
  item.refusals = 0;
  if (verdict.result != smtp::Result::success) ++item.transfers;
  queue::Decision decision =
      queue::decide(verdict, route.policy, shard_.in_doubt(),
                    {.attempts = item.attempts,
                     .transfers = item.transfers,
                     .age = shard_.loop().wall() - mailing.accepted_at(item.number),
                     .lifetime = mailing.lifetime(route.policy)},
                    shard_.loop().proactor().random());
  decision.is_relayed = client_ && !client_->extensions().dsn;
  report::LogEntry entry;
  held.describe(entry, shard_.scratch());
  entry.has_stage = true;
  entry.stage = verdict.stage;
  entry.host = host().name;
  entry.remote = &host().address;
  entry.local = local_.is_none() ? nullptr : &local_;
  entry.tls = tls_.description();
  entry.code = verdict.code;
  entry.enhanced = verdict.enhanced;
  entry.text = verdict.text;
  const std::string reason = reason_of(verdict);
  entry.reason = reason;
  entry.phases_us = phases_us_;
  entry.phases_us[static_cast<size_t>(Stage::idle)] = 0;  // no phase of this attempt
  SetbackPtr why;
  if (decision.kind == spool::OutcomeKind::deferred) why = setback_of(verdict);
  shard_.fates().record(route, held, item, decision, std::move(why), entry);
}

}  // namespace sluice::engine
