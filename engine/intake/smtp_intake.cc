#include "engine/intake/smtp_intake.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "io/check.h"

namespace sluice::engine::intake {

namespace {

constexpr io::Duration accept_pause = std::chrono::seconds(1);  // the machine has no more sockets

std::string host_of(const io::SocketAddress& address) {
  const std::string text = address.text();
  return text.substr(0, text.rfind(':'));
}

/// A message's: that of its first recipient.
std::string id_of(const spool::MailSegment& segment, const spool::BlockRef& block) {
  return fmt::format("{:016x}.{}", segment.info().uid, block.first);
}

std::string queued_as(const std::string& id) {
  return fmt::format("250 2.0.0 Ok: queued as {}", id);
}

}  // namespace

SmtpIntake::SmtpIntake(io::EventLoop& loop, const Options& options, Owner& owner)
    : loop_(loop),
      owner_(owner),
      shard_(options.shard),
      hostname_(options.hostname),
      spool_(options.spool),
      sequence_(options.sequence),
      errands_(options.errands),
      sessions_(options.sessions_max) {
  accept_timer_.bind<&SmtpIntake::accept_again>(this);
  if (errands_ != nullptr) errands_->attach(shard_, loop.proactor());
  for (uint8_t i = 0; i < priority_count; ++i)
    lanes_.emplace_back(*this, options, static_cast<Priority>(i));
  for (const SmtpListenerPtr& listener : options.listen) add_door(listener);
}

SmtpIntake::Door& SmtpIntake::add_door(const SmtpListenerPtr& listener) {
  Door& door = doors_.emplace_back();
  door.listener = listener;
  door.intake = this;
  door.accept.tells_remote = true;
  door.accept.bind<&Door::accepted>(&door);
  const auto address = io::SocketAddress::parse(listener->policy.address);
  CHECK(address);  // the configuration checked it
  door.listen.address = *address;
  door.listen.reuse_port = true;
  return door;
}

std::expected<void, std::string> SmtpIntake::listen() {
  for (Door& door : doors_) {
    const std::string& where = door.listener->policy.address;
    loop_.proactor().submit(door.listen);
    int32_t result = 0;
    door.listen.owner = &result;
    door.listen.callback = [](void* out, io::Op&, const io::Completion& completion) {
      *static_cast<int32_t*>(out) = completion.result;
    };
    while (door.listen.in_flight) loop_.proactor().wait(io::never, 1);
    if (result < 0)
      return std::unexpected(fmt::format("cannot listen on {}: {}", where, std::strerror(-result)));
    door.accept.listener = door.close.socket = door.listen.socket;
    loop_.proactor().submit(door.accept);
  }
  return {};
}

void SmtpIntake::reload(const SmtpListeners& wanted) {
  if (stopping_) return;
  const auto address_of = [](const SmtpListenerPtr& listener) -> const std::string& {
    return listener->policy.address;
  };
  for (Door& door : doors_)
    if (std::ranges::find(wanted, door.address(), address_of) == wanted.end()) close(door);
  for (const SmtpListenerPtr& listener : wanted) {
    const auto known = std::ranges::find_if(doors_, [&](const Door& door) {
      return !door.is_closing && door.address() == address_of(listener);
    });
    if (known != doors_.end()) {
      known->listener = listener;
      continue;
    }
    Door& door = add_door(listener);
    door.listen.bind<&Door::listening>(&door);
    loop_.proactor().submit(door.listen);
  }
}

void SmtpIntake::Door::listening(io::Listen&, const io::Completion& completion) {
  if (completion.result < 0) {
    is_closing = true;
    return intake->owner_.trouble(fmt::format("cannot listen on {}: {}", listener->policy.address,
                                              std::strerror(-completion.result)));
  }
  accept.listener = close.socket = listen.socket;
  if (is_closing || intake->stopping_) return intake->close(*this);
  intake->loop_.proactor().submit(accept);
}

void SmtpIntake::close(Door& door) {
  door.is_closing = true;
  io::Proactor& proactor = loop_.proactor();
  if (door.listen.in_flight) return;
  if (door.accept.in_flight) {
    if (!door.accept.cancelled) proactor.cancel(door.accept);
    return;
  }
  if (!door.listen.socket.is_open()) return;
  door.listen.socket = {};
  proactor.submit(door.close);
}

void SmtpIntake::Door::accepted(io::Accept& op, const io::Completion& completion) {
  intake->accepted(*this, op, completion);
}

void SmtpIntake::accepted(Door& door, io::Accept& op, const io::Completion& completion) {
  if (completion.result < 0 && door.is_closing) return close(door);
  if (completion.result < 0) {
    if (!stopping_ && completion.result != -ECANCELED)
      loop_.timers().arm(accept_timer_, loop_.now() + accept_pause);
    return;
  }
  SmtpSession* session = sessions_.create(*this, door.listener, op.socket, op.remote);
  CHECK(session != nullptr);  // the ring has no more sockets than there are places
  ++door.sessions;
  const std::string_view objection = objection_to(door, op.remote);
  session->place = steps_.insert(steps_.end(), session);
  ++clients_[host_of(op.remote)];
  session->start(objection);
  if (door.is_closing && !door.accept.in_flight) close(door);
}

/// A client that says nothing does not keep another out: of those looked at, the one whose session
/// has not come forward for longest is told 421.
bool SmtpIntake::make_room(const Door& door) {
  constexpr unsigned looked_at_most = 64;
  unsigned looked_at = 0;
  for (SmtpSession* session : steps_) {
    if (++looked_at > looked_at_most) return false;
    if (!session->may_yield() || session->listener().policy.address != door.address()) continue;
    session->yield();
    return true;
  }
  return false;
}

std::string_view SmtpIntake::objection_to(const Door& door, const io::SocketAddress& client) {
  const ListenPolicy& policy = door.listener->policy;
  if (stopping_) return "421 4.3.2 Shutting down";
  if (door.sessions > policy.sessions_max && !make_room(door))
    return "421 4.7.0 Too many sessions; try again later";
  const auto known = clients_.find(host_of(client));
  if (known != clients_.end() && known->second >= policy.sessions_per_client_max)
    return "421 4.7.0 Too many sessions from your address; try again later";
  return {};
}

void SmtpIntake::accept_again() {
  if (stopping_) return;
  for (Door& door : doors_)
    if (!door.accept.in_flight && !door.is_closing && !door.listen.in_flight)
      loop_.proactor().submit(door.accept);
}

void SmtpIntake::mark(SmtpSession& session) {
  if (!std::exchange(session.is_marked, true)) marked_.push_back(&session);
}

std::optional<uint64_t> SmtpIntake::run(SmtpSession& session, Errand&& errand) {
  const uint64_t number = errand.number = ++errand_numbers_;
  if (errands_ == nullptr || !errands_->ask(shard_, std::move(errand))) return std::nullopt;
  errands_under_way_.emplace(number, &session);
  return number;
}

void SmtpIntake::take_results() {
  if (errands_ == nullptr) return;
  while (const auto result = errands_->reply(shard_))
    if (const auto known = errands_under_way_.extract(result->number))
      known.mapped()->errand_done(*result);
}

void SmtpIntake::tell_of_wrong_password(const SmtpSession& session) {
  owner_.trouble(fmt::format("{}: wrong password from {}", session.listener().policy.address,
                             host_of(session.client())));
}

void SmtpIntake::turn_ended() {
  take_results();
  for (SmtpSession* session : std::exchange(marked_, {})) {
    session->is_marked = false;
    session->turn_ended();
  }
  for (Lane& lane : lanes_) lane.writer.commit();
  std::erase_if(large_, [](const LargeLetter& letter) { return letter.is_over(); });
  std::erase_if(doors_, [](const Door& door) { return door.is_closed(); });
  for (SmtpSession* session : std::exchange(graves_, {})) sessions_.destroy(session);
}

void SmtpIntake::ended(SmtpSession& session) {
  for (Door& door : doors_)
    if (door.address() == session.listener().policy.address && door.sessions > 0) --door.sessions;
  const auto client = clients_.find(host_of(session.client()));
  if (--client->second == 0) clients_.erase(client);
  std::erase(marked_, &session);
  steps_.erase(session.place);
  graves_.push_back(&session);
  loop_.request_turn();
}

std::string_view SmtpIntake::pressure() const {
  if (stopping_) return "421 4.3.2 Shutting down";
  if (owner_.is_storage_paused() || std::ranges::any_of(lanes_, &Lane::is_stalled))
    return "452 4.3.1 Mail cannot be stored at the moment; try again later";
  return {};
}

bool SmtpIntake::reserve(uint64_t octets) {
  if (content_bytes_ + octets > content_bytes_max) return false;
  content_bytes_ += octets;
  return true;
}

std::string SmtpIntake::new_message_id() {
  return fmt::format("<{:016x}.{:x}@{}>", loop_.proactor().random(), ++message_ids_, hostname_);
}

std::optional<MailTicket> SmtpIntake::hand_over(SmtpSession& session, const spool::NewMail& mail,
                                                Priority priority, std::string_view sender,
                                                std::string_view message_id) {
  Lane& lane = *std::next(lanes_.begin(), static_cast<uint8_t>(priority));
  const auto ticket = lane.writer.append(mail);
  if (!ticket) return std::nullopt;
  uint64_t bytes = 0;
  for (const spool::Bytes piece : mail.content) bytes += piece.size();
  lane.handed.push_back({.session = &session,
                         .sender = std::string(sender),
                         .message_id = std::string(message_id),
                         .bytes = bytes});
  CHECK(*ticket == lane.settled + lane.handed.size());
  return MailTicket{priority, *ticket};
}

void SmtpIntake::forget(MailTicket ticket) {
  Lane& lane = *std::next(lanes_.begin(), static_cast<uint8_t>(ticket.priority));
  lane.handed[ticket.number - lane.settled - 1].session = nullptr;
}

LargeLetter& SmtpIntake::begin_large(SmtpSession& session, Priority priority) {
  return large_.emplace_back(*this, session, spool_, shard_, sequence_, priority);
}

std::string SmtpIntake::large_letter_durable(
    const LargeLetter& letter, const std::shared_ptr<const spool::MailSegment>& segment) {
  const spool::BlockRef block = segment->block(0);
  const std::string id = id_of(*segment, block);
  log_accepted(
      {.sender = letter.sender(), .message_id = letter.message_id(), .bytes = letter.bytes()},
      block, id);
  owner_.letters_came({.segment = segment, .recipients = block.count, .is_sealed = true});
  loop_.request_turn();
  return queued_as(id);
}

void SmtpIntake::Lane::mail_durable(uint64_t first_ticket, uint32_t count,
                                    const std::shared_ptr<const spool::MailSegment>& segment,
                                    uint32_t first_block) {
  CHECK(first_ticket == settled + 1);
  uint32_t recipients = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const spool::BlockRef block = segment->block(first_block + i);
    recipients = block.first + block.count;
    const Handed one = std::move(handed.front());
    handed.pop_front();
    ++settled;
    const std::string id = id_of(*segment, block);
    intake.log_accepted(one, block, id);
    if (one.session) one.session->message_answered(queued_as(id));
  }
  intake.owner_.letters_came({.segment = segment, .recipients = recipients});
}

void SmtpIntake::Lane::mail_sealed(const std::shared_ptr<const spool::MailSegment>& segment) {
  intake.owner_.letters_came(
      {.segment = segment, .recipients = segment->recipients(), .is_sealed = true});
}

void SmtpIntake::Lane::mail_stalled(const spool::Error&) {
  is_stalled = true;
  for (Handed& one : std::exchange(handed, {})) {
    ++settled;
    if (one.session)
      one.session->message_answered(
          "452 4.3.1 Mail cannot be stored at the moment; try again later");
  }
}

void SmtpIntake::log_accepted(const Handed& handed, const spool::BlockRef& block,
                              const std::string& id) {
  owner_.log({.event = report::Event::accepted,
              .time = loop_.wall(),
              .id = id,
              .sender = handed.sender,
              .message_id = handed.message_id,
              .bytes = handed.bytes,
              .recipients = block.count});
}

SmtpIntake::~SmtpIntake() {
  stop(true);
  const auto is_quiet = [](const Door& door) {
    return !door.listen.in_flight && !door.accept.in_flight && !door.close.in_flight;
  };
  while (sessions_.size() > 0 || !std::ranges::all_of(doors_, is_quiet)) {
    for (SmtpSession* session : std::exchange(graves_, {})) sessions_.destroy(session);
    if (loop_.proactor().in_flight() > 0) loop_.proactor().wait(io::never, 64);
  }
}

void SmtpIntake::stop(bool now) {
  if (!std::exchange(stopping_, true)) {
    loop_.timers().cancel(accept_timer_);
    // A ring outlives its process for a moment: a socket that is still open there would get
    // connections that are meant for the engine's successor.
    for (Door& door : doors_) close(door);
  }
  sessions_.for_each([now](SmtpSession& session) { now ? session.lost() : session.stop(); });
}

bool SmtpIntake::is_idle() const {
  return sessions_.size() == 0 && large_.empty() &&
         std::ranges::none_of(lanes_,
                              [](const Lane& lane) {
                                return lane.writer.has_pending() || lane.writer.is_committing();
                              }) &&
         std::ranges::all_of(doors_, &Door::is_closed);
}

}  // namespace sluice::engine::intake
