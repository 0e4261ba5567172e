#include "engine/smtp/client.h"

#include <algorithm>
#include <utility>

#include "io/check.h"

namespace sluice::engine::smtp {
namespace {

Verdict refused_here(Scope scope, EnhancedCode enhanced, std::string_view reason) {
  return {.result = Result::permanent,
          .scope = scope,
          .stage = Stage::mail,
          .enhanced = enhanced,
          .reason = reason};
}

constexpr uint16_t challenge_code = 334;  // RFC 4954 section 4
constexpr std::string_view no_mechanism = "server offers no SCRAM-SHA-256, PLAIN or LOGIN";

constexpr Verdict unwritable{.result = Result::permanent,
                             .scope = Scope::recipient,
                             .stage = Stage::mail,
                             .enhanced = {5, 1, 3},
                             .reason = "recipient's address cannot be written in SMTP"};

}  // namespace

Client::Client(std::string_view hostname, Listener& listener, const Opening& opening)
    : listener_(listener), hostname_(hostname), opening_(opening) {
  CHECK(!hostname.empty() && hostname.size() <= hostname_bytes_max);
  CHECK(hostname.find_first_of("\r\n ") == std::string_view::npos);
}

// ---- The caller's side ------------------------------------------------------------------------

bool Client::wants_transaction() const {
  return !is_quitting_ && phase_ <= Phase::open && open_ < transactions_open_max;
}

TransactionNumber Client::offer(const Transaction& transaction) {
  CHECK(wants_transaction());
  CHECK(!transaction.recipients.empty() && transaction.recipients.size() <= recipients_max);
  CHECK(transaction.body != nullptr);
  Exchange& exchange = at(open_++);
  exchange = Exchange{.transaction = transaction,
                      .number = offered_++,
                      .undecided = static_cast<uint16_t>(transaction.recipients.size())};
  return exchange.number;
}

void Client::release_dot(TransactionNumber transaction) {
  for (unsigned i = 0; i < open_; ++i)
    if (at(i).number == transaction) at(i).transaction.withholds_dot = false;
}

void Client::quit() { is_quitting_ = true; }

void Client::tls_started(bool is_authenticated) {
  CHECK(phase_ == Phase::handshake && !is_in_callbacks_);
  parser_.release();
  extensions_ = {};
  uses_helo_ = false;
  is_under_tls_ = true;
  is_authenticated_ = is_authenticated;
  phase_ = Phase::hello;
}

void Client::fail(std::string_view reason) {
  if (is_closed()) return;
  CHECK(!is_in_callbacks_);
  is_in_callbacks_ = true;
  end_session({.result = Result::transient,
               .scope = phase_ < Phase::open ? Scope::host : Scope::session,
               .stage = stage(),
               .reason = reason});
  is_in_callbacks_ = false;
}

Stage Client::awaited() const {
  switch (phase_) {
    case Phase::greeting:      return Stage::greeting;
    case Phase::hello:
    case Phase::starttls:
    case Phase::auth:
    case Phase::closed:        return Stage::idle;
    case Phase::hello_sent:    return Stage::ehlo;
    case Phase::starttls_sent:
    case Phase::handshake:     return Stage::starttls;
    case Phase::auth_sent:     return Stage::auth;
    case Phase::quit_sent:     return Stage::quit;
    case Phase::open:          break;
  }
  if (mop_up_ == MopUp::rset_sent) return Stage::rset;
  if (mop_up_ == MopUp::dot_sent) return Stage::final_dot;
  if (open_ == 0) return Stage::idle;
  const Exchange& first = at(0);
  if (first.is_sending_content()) return Stage::block;
  return first.has_reply_due() ? first.stage_at(first.due) : Stage::idle;
}

Stage Client::stage() const {
  const Stage stage = awaited();
  if (stage != Stage::idle || is_closed()) return stage;
  // Nothing was asked, but produce() is about to.
  if (is_quitting_ && open_ == 0) return Stage::quit;
  if (phase_ == Phase::hello) return Stage::ehlo;
  if (phase_ == Phase::starttls) return Stage::starttls;
  if (phase_ == Phase::auth) return Stage::auth;
  if (mop_up_ == MopUp::dot) return Stage::final_dot;
  if (open_ == 0) return Stage::idle;
  return mop_up_ == MopUp::rset ? Stage::rset : at(0).stage_at(at(0).due);
}

// ---- The send cursor --------------------------------------------------------------------------

size_t Client::produce(std::span<char> out) {
  CHECK(out.size() >= produce_bytes_min);
  CHECK(!is_in_callbacks_);
  CommandWriter writer(out);
  is_in_callbacks_ = true;
  while (produce_next(writer)) {
  }
  is_in_callbacks_ = false;
  return writer.size();
}

// The transaction whose commands come next: an envelope may follow the final dot of the one before
// (RFC 2920 section 3.1), and nothing else of it.
Exchange* Client::sending() {
  for (unsigned i = 0; i < open_; ++i) {
    if (at(i).is_abandoned) return nullptr;
    if (!at(i).is_dot_sent()) return &at(i);
  }
  return nullptr;
}

// Writes the next command, or some content. False: nothing is to be sent now, or there is no room
// for it.
bool Client::produce_next(CommandWriter& out) {
  const bool may_speak = phase_ == Phase::open || phase_ == Phase::hello ||
                         phase_ == Phase::starttls || phase_ == Phase::auth;
  if (!may_speak) return false;
  if (phase_ == Phase::open && !extensions_.pipelining && awaited() != Stage::idle &&
      awaited() != Stage::block)
    return false;

  // The server that sent 354 takes no command before its dot.
  if (mop_up_ == MopUp::dot) return produce_mop_up(out);
  const bool is_done =
      is_quitting_ && open_ == 0 && mop_up_ != MopUp::rset_sent && mop_up_ != MopUp::dot_sent;
  if (is_done) {
    if (out.quit()) phase_ = Phase::quit_sent;
    return false;
  }
  if (phase_ != Phase::open) return produce_opening(out);
  Exchange* const exchange = sending();
  if (!exchange) return false;
  if (!exchange->was_checked) return check(*exchange);
  if (mop_up_ == MopUp::rset) return produce_mop_up(out);
  return produce_of(*exchange, out);
}

// One command at a time, whatever the peer offers.
bool Client::produce_opening(CommandWriter& out) {
  if (phase_ == Phase::hello) {
    if (out.hello(uses_helo_ ? "HELO" : "EHLO", hostname_)) phase_ = Phase::hello_sent;
  } else if (phase_ == Phase::starttls) {
    if (out.starttls()) phase_ = Phase::starttls_sent;
  } else {
    const std::span<char> room = out.rest();
    const size_t octets = login_->rest().copy(room.data(), room.size());
    out.advance(octets);
    login_->advance(octets);
    if (login_->rest().empty()) phase_ = Phase::auth_sent;
  }
  return false;
}

bool Client::produce_mop_up(CommandWriter& out) {
  if (mop_up_ == MopUp::dot) {
    if (!out.final_dot()) return false;
    mop_up_ = MopUp::dot_sent;
  } else {
    if (!out.rset()) return false;
    mop_up_ = MopUp::rset_sent;
  }
  return true;
}

// Is the transaction fit for this peer? If not it ends here, or waits for its turn to: transactions
// end in order. True: go on with what comes next.
bool Client::check(Exchange& exchange) {
  const Transaction& transaction = exchange.transaction;
  unsigned writable = 0;
  for (unsigned i = 0; i < exchange.recipients(); ++i) writable += exchange.is_writable(i);

  Verdict verdict;
  if (transaction.needs_requiretls && !is_authenticated_) {
    verdict = refused_here(Scope::message, {5, 7, 30},
                           "message requires TLS with a server whose identity is proven");
  } else if (transaction.needs_requiretls && !extensions_.require_tls) {
    verdict = refused_here(Scope::message, {5, 7, 30}, "server does not offer REQUIRETLS");
  } else if (transaction.needs_8bitmime && !extensions_.eight_bit_mime) {
    verdict = refused_here(Scope::message, {5, 6, 3}, "server does not offer 8BITMIME");
  } else if (transaction.needs_smtputf8 && !extensions_.smtp_utf8) {
    verdict = refused_here(Scope::message, {5, 6, 7}, "server does not offer SMTPUTF8");
  } else if (extensions_.size_max > 0 && transaction.bytes > extensions_.size_max) {
    verdict =
        refused_here(Scope::message, {5, 3, 4}, "message is larger than the server's SIZE limit");
  } else if (!transaction.sender.empty() &&
             !is_writable_address(transaction.sender, transaction.needs_smtputf8)) {
    verdict = refused_here(Scope::message, {5, 1, 7}, "sender's address cannot be written in SMTP");
  } else if (writable == 0) {
    verdict = unwritable;
  } else {
    exchange.has_unwritable = writable < exchange.recipients();
    exchange.was_checked = true;
    return true;
  }
  if (&exchange != &at(0)) return false;
  decide_rest(exchange, verdict);
  end_first(mop_up_, false);
  return true;
}

bool Client::produce_of(Exchange& exchange, CommandWriter& out) {
  if (exchange.send == exchange.dot())
    return exchange.is_sending_content() && produce_content(exchange, out);
  switch (exchange.stage_at(exchange.send)) {
    case Stage::mail:
      if (!out.mail(exchange.transaction, extensions_)) return false;
      break;
    case Stage::rcpt:
      if (!out.rcpt(exchange.transaction.recipients[exchange.send - 1u], exchange.transaction.dsn,
                    extensions_))
        return false;
      break;
    default:
      if (!out.data()) return false;
  }
  exchange.send = exchange.skip(static_cast<Exchange::Position>(exchange.send + 1));
  return true;
}

bool Client::produce_content(Exchange& exchange, CommandWriter& out) {
  if (!exchange.is_body_read) {
    const std::span<char> rest = out.rest();
    if (rest.empty() || !exchange.transaction.body->is_ready()) return false;
    const size_t octets = exchange.transaction.body->read(rest);
    CHECK(octets <= rest.size());
    out.advance(octets);
    exchange.note_content(rest.first(octets));
    exchange.is_body_read = octets == 0;
    return true;
  }
  // Without it the final dot would be part of a line, and the peer would wait for ever.
  CHECK(exchange.ends_in_crlf());
  if (exchange.transaction.withholds_dot) {
    if (!std::exchange(exchange.is_dot_asked_for, true)) listener_.dot_withheld(exchange.number);
    return false;
  }
  if (!out.final_dot()) return false;
  exchange.send = exchange.end();
  return true;
}

// ---- The receive cursor -----------------------------------------------------------------------

void Client::receive(std::span<const char> octets) {
  CHECK(!is_in_callbacks_ && !awaits_tls());
  std::string_view rest(octets.data(), octets.size());
  is_in_callbacks_ = true;
  while (!is_closed()) {
    Reply reply;
    const ReplyParser::Step step = parser_.next(rest, reply);
    if (step == ReplyParser::Step::need_more) break;
    if (step == ReplyParser::Step::reply) {
      ++replies_;
      take(reply);
      // Whoever is on the way may have put it there, for us to take it as said under TLS (the
      // server's side is RFC 3207 section 6's).
      if (awaits_tls()) {
        if (!rest.empty()) end_opening(Stage::starttls, "plaintext behind the reply to STARTTLS");
        break;
      }
    } else {
      end_session({.result = Result::transient,
                   .scope = phase_ < Phase::open ? Scope::host : Scope::session,
                   .stage = stage(),
                   .text = reply.text,
                   .reason = parser_.reason()});
    }
  }
  if (is_closed()) parser_.release();
  is_in_callbacks_ = false;
}

void Client::take(const Reply& reply) {
  const Stage stage = awaited();
  // Whatever it says, the peer was told that this is the end (RFC 5321 section 4.1.1.10).
  if (stage == Stage::quit) {
    phase_ = Phase::closed;
    return;
  }
  if (stage == Stage::auth && reply.code == challenge_code) return take_challenge(reply);
  const Ruling ruling = rule(stage, reply, open_ > 0 && at(0).accepted > 0);
  if (ruling.course == Course::end) return end_session(verdict_of(ruling, stage, reply));

  if (stage == Stage::greeting) {
    phase_ = Phase::hello;
  } else if (stage == Stage::ehlo) {
    take_hello(ruling, reply);
  } else if (stage == Stage::starttls) {
    take_starttls(ruling, reply);
  } else if (stage == Stage::auth) {
    take_auth(reply);
  } else if (mop_up_ != MopUp::none) {
    // RSET was granted, or the lone dot was answered, and that says nothing: the recipients have
    // their verdicts.
    mop_up_ = MopUp::none;
  } else {
    take_for(at(0), stage, ruling, reply);
  }
}

void Client::take_hello(const Ruling& ruling, const Reply& reply) {
  if (ruling.course == Course::refuse) {
    // RFC 5321 section 3.2: a server without EHLO refuses it, and is greeted with HELO.
    if (uses_helo_) return end_session(verdict_of(ruling, Stage::ehlo, reply));
    uses_helo_ = true;
    phase_ = Phase::hello;
    return;
  }
  if (!uses_helo_) extensions_ = parse_extensions(reply.text);
  const bool wants_tls = opening_.tls != Opening::Tls::unused && !is_under_tls_;
  if (wants_tls && extensions_.starttls) {
    phase_ = Phase::starttls;
  } else if (wants_tls && opening_.tls == Opening::Tls::demanded) {
    end_opening(Stage::starttls, "server does not offer STARTTLS");
  } else {
    begin_login();
  }
}

void Client::take_starttls(const Ruling& ruling, const Reply& reply) {
  if (ruling.course == Course::go_on)
    phase_ = Phase::handshake;
  else if (opening_.tls == Opening::Tls::demanded)
    end_session(verdict_of(ruling, Stage::starttls, reply));
  else
    begin_login();
}

void Client::begin_login() {
  if (opening_.login == nullptr) return open();
  if (!is_under_tls_) return end_opening(Stage::auth, "a password is sent under TLS only");
  const auto mechanism = Login::best(extensions_);
  if (!mechanism) return end_opening(Stage::auth, no_mechanism);
  login_ = std::make_unique<Login>(*mechanism, opening_);
  phase_ = Phase::auth;
}

void Client::take_challenge(const Reply& reply) {
  const std::string_view line = reply.text;
  const std::string_view text = line.substr(std::min(line.size(), Reply::code_bytes));
  const std::string_view wrong = login_->challenged(text);
  if (!wrong.empty()) return end_opening(Stage::auth, wrong);
  phase_ = Phase::auth;
}

void Client::take_auth(const Reply& reply) {
  if (!login_->may_succeed())
    return end_opening(Stage::auth, "granted without a proof that the server knows the password",
                       reply.text);
  login_.reset();
  open();
}

void Client::open() {
  phase_ = Phase::open;
  listener_.session_opened();
}

void Client::take_for(Exchange& exchange, Stage stage, const Ruling& ruling, const Reply& reply) {
  const bool is_granted = ruling.course == Course::go_on;
  const unsigned recipient = exchange.due - 1u;
  switch (stage) {
    case Stage::mail:
      exchange.mail_accepted = is_granted;
      decide_unwritable(exchange);
      if (!is_granted) decide_rest(exchange, verdict_of(ruling, stage, reply));
      break;
    case Stage::rcpt:
      if (is_granted) {
        ++exchange.accepted;
      } else if (!exchange.decided[recipient]) {
        if (ruling.course == Course::split)
          give_back(exchange, recipient);
        else
          decide(exchange, recipient, verdict_of(ruling, stage, reply));
      }
      break;
    case Stage::data:
      if (is_granted) return take_data_granted(exchange, reply);
      decide_rest(exchange, verdict_of(ruling, stage, reply));
      return end_first(exchange.has_open_envelope() ? MopUp::rset : MopUp::none, true);
    default:
      if (ruling.course == Course::refuse_end) phase_ = Phase::closed;
      decide_rest(exchange, verdict_of(ruling, stage, reply));
      end_first(MopUp::none, true);
      if (ruling.course == Course::refuse_end) {
        Ruling end = ruling;
        end.scope = Scope::session;
        end.result = Result::transient;
        end_session(verdict_of(end, stage, reply));
      }
      return;
  }
  exchange.due = exchange.skip(static_cast<Exchange::Position>(exchange.due + 1));
  // DATA is not worth sending any more; when it is under way already, its reply decides.
  if (exchange.undecided == 0 && exchange.send <= exchange.data()) exchange.is_abandoned = true;
  if (exchange.is_abandoned && !exchange.has_reply_due()) {
    end_first(exchange.has_open_envelope() ? MopUp::rset : MopUp::none, true);
  }
}

void Client::take_data_granted(Exchange& exchange, const Reply& reply) {
  if (exchange.undecided > 0) {
    exchange.due = exchange.dot();
  } else if (exchange.accepted > 0) {
    // MAIL was refused and a RCPT granted. A lone dot might send an empty message.
    end_session({.result = Result::transient,
                 .scope = Scope::session,
                 .stage = Stage::data,
                 .text = reply.text,
                 .reason = "RCPT and DATA granted after MAIL was refused"});
  } else {
    end_first(MopUp::dot, true);
  }
}

// ---- Every recipient has one verdict ----------------------------------------------------------

void Client::decide(Exchange& exchange, unsigned recipient, const Verdict& verdict) {
  CHECK(!exchange.decided[recipient]);
  exchange.decided.set(recipient);
  --exchange.undecided;
  listener_.recipient_ended(exchange.number, recipient, verdict);
}

void Client::give_back(Exchange& exchange, unsigned recipient) {
  exchange.decided.set(recipient);
  --exchange.undecided;
  listener_.recipient_returned(exchange.number, recipient);
}

void Client::decide_unwritable(Exchange& exchange) {
  if (!exchange.has_unwritable) return;
  for (unsigned i = 0; i < exchange.recipients(); ++i) {
    if (!exchange.decided[i] && !exchange.is_writable(i)) decide(exchange, i, unwritable);
  }
}

void Client::decide_rest(Exchange& exchange, const Verdict& verdict) {
  decide_unwritable(exchange);
  for (unsigned i = 0; exchange.undecided > 0; ++i) {
    if (!exchange.decided[i]) decide(exchange, i, verdict);
  }
}

void Client::end_first(MopUp mop_up, bool by_peer) {
  CHECK(open_ > 0 && at(0).undecided == 0);
  const TransactionNumber number = at(0).number;
  first_ = static_cast<uint8_t>((first_ + 1) % transactions_open_max);
  --open_;
  mop_up_ = mop_up;
  has_ended_one_ |= by_peer;
  listener_.transaction_ended(number);
}

void Client::end_opening(Stage stage, std::string_view reason, std::string_view text) {
  end_session({.result = Result::transient,
               .scope = Scope::host,
               .stage = stage,
               .text = text,
               .reason = reason});
}

void Client::end_session(const Verdict& verdict) {
  phase_ = Phase::closed;
  login_.reset();
  for (bool is_first = true; open_ > 0; is_first = false) {
    Exchange& exchange = at(0);
    const bool is_untried = exchange.due == Exchange::mail &&
                            (exchange.send == Exchange::mail || has_ended_one_ || !is_first);
    if (is_untried) {
      first_ = static_cast<uint8_t>((first_ + 1) % transactions_open_max);
      --open_;
      listener_.transaction_returned(exchange.number);
      continue;
    }
    Verdict of_recipients = verdict;
    // A reply to the final dot is known by its code; after anything else nobody knows what became
    // of the message.
    const bool is_answered = verdict.stage == Stage::final_dot && verdict.code != 0;
    if (exchange.is_dot_sent() && !is_answered) of_recipients.result = Result::unknown;
    decide_rest(exchange, of_recipients);
    end_first(MopUp::none, true);
  }
  listener_.session_failed(verdict);
}

}  // namespace sluice::engine::smtp
