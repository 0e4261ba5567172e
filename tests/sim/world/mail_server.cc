#include "tests/sim/world/mail_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "io/check.h"

namespace sluice::sim {

using std::chrono::seconds;

namespace {

bool begins_with(std::string_view line, std::string_view verb) {
  return line.size() >= verb.size() &&
         std::ranges::equal(line.substr(0, verb.size()), verb, [](char a, char b) {
           return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b;
         });
}

std::string_view path_of(std::string_view line) {
  const size_t open = line.find('<'), close = line.rfind('>');
  return open == line.npos || close == line.npos || close < open
             ? std::string_view()
             : line.substr(open + 1, close - open - 1);
}

/// The lines of a reply with CRLF; each line but the last already has its '-'.
std::string on_the_wire(std::string_view reply) {
  std::string out;
  for (const char c : reply) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out + "\r\n";
}

}  // namespace

/// One connection: octets in, one command at a time, answers after their delays.
class MailServer::Session {
 public:
  Session(MailServer& server, uint64_t number, io::Socket socket)
      : server_(server), number_(number), socket_(socket) {
    receive_.socket = send_.socket = close_.socket = socket;
    receive_.bind<&Session::received>(this);
    send_.bind<&Session::sent>(this);
    close_.bind<&Session::closed>(this);
    server_.proactor_.submit(receive_);
    perform(Phase::greeting, {}, "220 mx.test ESMTP");
    step();
  }

  bool is_client_there() const {
    return server_.world_.network().is_peer_open(server_.proactor_, socket_) && !is_closing_;
  }

 private:
  void received(io::Receive&, const io::Completion& completion) {
    if (completion.result > 0)
      input_.append(reinterpret_cast<const char*>(completion.bytes.data()),
                    completion.bytes.size());
    else
      is_closing_ = true;
    step();
  }

  void sent(io::Send&, const io::Completion& completion) {
    if (completion.result < 0) is_closing_ = true;
    sending_.clear();
    step();
  }

  void closed(io::CloseSocket&, const io::Completion&) {
    server_.open_.erase(number_);
  }  // *this is gone

  /// Does what can be done now.
  void step() {
    if (is_closing_) return end();
    while (!is_busy_ && !has_stopped_ && take_command()) {
    }
    if (is_closing_) return end();
    flush();
  }

  void flush() {
    if (send_.in_flight || close_.in_flight) return;
    if (output_.empty()) {
      if (closes_when_sent_) is_closing_ = true, end();
      return;
    }
    sending_ = std::exchange(output_, {});
    octets_sent_ += sending_.size();
    send_.bytes = std::as_bytes(std::span(sending_));
    server_.proactor_.submit(send_);
  }

  void end() {
    is_busy_ = has_stopped_ = true;
    if (receive_.in_flight && !receive_.cancelled) server_.proactor_.cancel(receive_);
    if (send_.in_flight && !send_.cancelled) server_.proactor_.cancel(send_);
    if (!receive_.in_flight && !send_.in_flight && !close_.in_flight)
      server_.proactor_.submit(close_);
  }

  bool take_command() {
    if (in_content_) return take_content();
    const size_t end_of_line = input_.find("\r\n");
    if (end_of_line == input_.npos) {
      if (input_.find('\n') != input_.npos) violate("a command ends in a bare LF");
      if (input_.size() > 4096) violate("a command of over 4096 octets");
      return false;
    }
    const std::string line = input_.substr(0, end_of_line);
    consume(end_of_line + 2);
    talk_ += fmt::format("C: {}\n", line);
    const bool may_pipeline = is_extended_ && std::ranges::find(server_.extensions, "PIPELINING") !=
                                                  server_.extensions.end();
    if (!input_.empty() && !may_pipeline) violate("pipelines without being offered it: " + line);
    command(line);
    return true;
  }

  void consume(size_t octets) {
    input_.erase(0, octets);
    consumed_ += octets;
  }

  void command(const std::string& line) {
    if (begins_with(line, "EHLO ") || begins_with(line, "HELO ")) {
      const bool extended = line[0] == 'E' || line[0] == 'e';
      is_extended_ = extended && server_.knows_ehlo;
      std::string reply = "250-mx.test";
      if (is_extended_)
        for (const std::string& extension : server_.extensions) reply += "\n250-" + extension;
      reply[reply.rfind("250-") + 3] = ' ';
      forget_transaction();
      return perform(Phase::ehlo, line, extended && !is_extended_ ? "502 5.5.1 what?" : reply);
    }
    if (begins_with(line, "MAIL FROM:")) {
      if (sender_) violate("MAIL within a transaction");
      is_8bit_ = line.find(" BODY=8BITMIME") != line.npos;
      return perform(Phase::mail, line, "250 2.1.0 go on",
                     [this, line] { sender_ = path_of(line); });
    }
    if (begins_with(line, "RCPT TO:"))
      return perform(Phase::rcpt, line, sender_ ? "250 2.1.5 go on" : "503 5.5.1 MAIL first",
                     [this, line] {
                       if (sender_) recipients_.emplace_back(path_of(line));
                     });
    if (line == "DATA")
      return perform(Phase::data, line,
                     recipients_.empty() ? "503 5.5.1 no recipients" : "354 go on");
    if (line == "RSET")
      return perform(Phase::rset, line, "250 2.0.0 forgotten", [this] { forget_transaction(); });
    if (line == "QUIT") return perform(Phase::quit, line, "221 2.0.0 bye");
    violate("unknown command: " + line);
    say("500 5.5.2 what?");
  }

  bool take_content() {
    if (is_new_content_ && !input_.empty()) {
      is_new_content_ = false;
      perform(Phase::block, {}, "");
      if (is_busy_ || has_stopped_ || is_closing_) return true;
    }
    // CRLF . CRLF, where the first CRLF may be that of DATA.
    const bool is_empty = input_.starts_with(".\r\n");
    const size_t end = is_empty ? 0 : input_.find("\r\n.\r\n");
    if (end == input_.npos) return false;
    const std::string content = is_empty ? "" : input_.substr(0, end + 2);
    consume(is_empty ? 3 : end + 5);
    talk_ += fmt::format("C: ({} octets) .\n", content.size());
    in_content_ = false;
    dot_sent_ = server_.world_.network().sent_at(server_.proactor_, socket_, consumed_);
    inspect(content);
    if (recipients_.empty()) {
      if (!content.empty()) violate("content though no recipient stood");
      say("554 5.5.1 no valid recipients");
      forget_transaction();
      return true;
    }
    content_ = unstuffed(content);
    perform(Phase::final_dot, {}, "250 2.0.0 taken");
    return true;
  }

  void inspect(std::string_view content) {
    size_t line_begin = 0;
    for (size_t i = 0; i < content.size(); ++i) {
      if (content[i] == '\n' && (i == 0 || content[i - 1] != '\r')) violate("bare LF in content");
      if (content[i] == '\r' && (i + 1 == content.size() || content[i + 1] != '\n'))
        violate("bare CR in content");
      if ((content[i] & 0x80) && !is_8bit_) return violate("8-bit content without BODY=8BITMIME");
      if (i - line_begin > 1000)
        return violate("a line of over 1000 octets");  // 998, a stuffed dot, CRLF
      if (content[i] == '\n') line_begin = i + 1;
    }
  }

  static std::string unstuffed(std::string_view content) {
    std::string out;
    for (size_t i = 0; i < content.size(); ++i)
      if (content[i] != '.' || !(i == 0 || content[i - 1] == '\n')) out += content[i];
    return out;
  }

  /// Asks the script, waits, and does what it said; `on_success` before a reply of 2xx is sent.
  void perform(Phase phase, std::string_view argument, std::string usual,
               std::function<void()> on_success = {}) {
    Answer answer = server_.answer(phase, argument);
    if (answer.reply.empty()) answer.reply = std::move(usual);
    is_busy_ = true;
    const auto act = [this, phase, answer, on_success] {
      is_busy_ = false;
      do_answer(phase, answer, on_success);
    };
    if (answer.delay <= io::Duration(0)) return act();
    later(answer.delay, [this, act] {
      act();
      step();
    });
  }

  void do_answer(Phase phase, const Answer& answer, const std::function<void()>& on_success) {
    using Action = Answer::Action;
    if (phase == Phase::block && answer.action != Action::drop && answer.action != Action::stall)
      return;  // nobody awaits a word
    switch (answer.action) {
      case Action::drop: closes_when_sent_ = has_stopped_ = true; return;
      case Action::take_and_drop:
        if (phase == Phase::final_dot) keep(false);
        closes_when_sent_ = has_stopped_ = true;
        return;
      case Action::stall: has_stopped_ = true; return;
      case Action::garbage:
        if (phase == Phase::final_dot) forget_transaction();
        return say("\x01\xff this is not SMTP");
      case Action::endless: has_stopped_ = true; return say_endlessly();
      case Action::reply:
      case Action::slow:    break;
    }
    const bool is_success = answer.reply[0] == '2' || answer.reply[0] == '3';
    const bool is_slow = answer.action == Action::slow;
    if (is_success && on_success) on_success();
    if (phase == Phase::data && answer.reply[0] == '3') in_content_ = is_new_content_ = true;
    if (phase == Phase::final_dot && is_success) keep(true, on_the_wire(answer.reply).size());
    if (phase == Phase::final_dot) forget_transaction();
    if (is_slow)
      say_slowly(on_the_wire(answer.reply));
    else
      say(answer.reply);
    if (phase == Phase::quit || answer.reply.starts_with("421") ||
        (phase == Phase::greeting && !is_success))
      closes_when_sent_ = has_stopped_ = true;
  }

  void keep(bool is_answered, size_t reply_bytes = 0) {
    Network& network = server_.world_.network();
    Delivery delivery{.sender = *sender_,
                      .recipients = recipients_,
                      .content = content_,
                      .dot_sent = dot_sent_,
                      .time = server_.world_.now(),
                      .session = number_,
                      .session_began = began_,
                      .is_answered = is_answered,
                      .reply = {}};
    if (is_answered)
      delivery.reply =
          network.mark(server_.proactor_, socket_, octets_sent_ + output_.size() + reply_bytes);
    server_.world_.note("taken", number_, server_.deliveries_.size());
    server_.deliveries_.push_back(std::move(delivery));
  }

  void forget_transaction() {
    sender_.reset();
    recipients_.clear();
    content_.clear();
  }

  void say(std::string_view reply) {
    talk_ += fmt::format("S: {}\n", reply);
    output_ += on_the_wire(reply);
  }

  void say_slowly(const std::string& octets) {
    is_busy_ = true;
    later(seconds(1), [this, octets] {
      output_ += octets[0];
      is_busy_ = false;
      if (octets.size() > 1) say_slowly(octets.substr(1));
      step();
    });
  }

  void say_endlessly() {
    output_ += "250-and another thing\r\n";
    later(std::chrono::milliseconds(100), [this] {
      say_endlessly();
      step();
    });
  }

  /// Unless the session is gone or ending by then.
  void later(io::Duration delay, std::function<void()> then) {
    server_.world_.after(delay, [&server = server_, number = number_, then = std::move(then)] {
      const auto found = server.open_.find(number);
      if (found != server.open_.end() && !found->second->is_closing_ && server.process_.is_alive())
        then();
    });
  }

  void violate(std::string what) {
    constexpr size_t shown_bytes = 1200;
    const size_t from = talk_.size() > shown_bytes ? talk_.size() - shown_bytes : 0;
    server_.violations_.push_back(
        fmt::format("session {}: {}\n{}", number_, what, talk_.substr(from)));
  }

  MailServer& server_;
  const uint64_t number_;
  const io::Instant began_ = server_.world_.now();
  const io::Socket socket_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  std::string input_, output_, sending_;
  std::string talk_;  // for violations
  uint64_t octets_sent_ = 0, consumed_ = 0;
  io::Instant dot_sent_;
  bool is_busy_ = false;      // an answer is being waited for; commands behind it wait too
  bool has_stopped_ = false;  // reads no further commands
  bool is_closing_ = false, closes_when_sent_ = false;
  bool is_extended_ = false, is_8bit_ = false, in_content_ = false, is_new_content_ = false;
  std::optional<std::string> sender_;
  std::vector<std::string> recipients_;
  std::string content_;
};

MailServer::MailServer(World& world, const io::SocketAddress& address)
    : world_(world), process_(world.start(Owner::theirs)), proactor_(process_.proactor()) {
  listen_.address = address;
  listen_.bind<&MailServer::listened>(this);
  accept_.bind<&MailServer::accepted>(this);
  proactor_.submit(listen_);
  proactor_.drive([this] { proactor_.wait(io::never, 64); });
}

MailServer::~MailServer() {
  if (process_.is_alive()) world_.kill(process_);
}

void MailServer::listened(io::Listen&, const io::Completion& completion) {
  CHECK(completion.result == 0);
  accept_.listener = listen_.socket;
  proactor_.submit(accept_);
}

void MailServer::accepted(io::Accept& op, const io::Completion& completion) {
  CHECK(completion.result == 0);
  const uint64_t number = ++sessions_made_;
  open_[number] = std::make_unique<Session>(*this, number, op.socket);
  const auto there = std::ranges::count_if(
      open_, [](const auto& session) { return session.second->is_client_there(); });
  sessions_most_ = std::max(sessions_most_, static_cast<unsigned>(there));
}

}  // namespace sluice::sim
