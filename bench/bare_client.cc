// The ceiling: an SMTP sender on our Proactor without spool, log, queue or merging. What `sluice`
// adds to this is its own cost.
//
//   build/sluice sink --quiet & build/bare_client --messages 200000 --bytes 10240 --sessions 20
//   127.0.0.1:2525

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "io/uring.h"

namespace sluice::bench {
namespace {

struct Options {
  uint64_t messages = 100'000;
  size_t bytes = 10'240;
  unsigned sessions = 20;
  bool separate_envelope = false;
  std::string remote;
};

[[noreturn]] void give_up(const std::string& why) {
  fmt::print(stderr, "bare_client: {}\n", why);
  std::exit(EXIT_FAILURE);
}

/// What a run shares.
struct Run {
  Options options;
  io::Proactor& proactor;
  io::SocketAddress remote;
  uint64_t begun = 0, accepted = 0;
  unsigned open_sessions = 0;
};

/// A connection that sends message after message: in steady state one send (content, final dot,
/// next envelope) and one flight of four replies each (RFC 2920 section 3.1).
class Session {
 public:
  explicit Session(Run& run) : run_(run) {
    connect_.remote = run.remote;
    connect_.bind<&Session::connected>(this);
    send_.bind<&Session::sent>(this);
    receive_.bind<&Session::received>(this);
    ++run_.open_sessions;
    run_.proactor.submit(connect_);
  }

 private:
  void connected(io::Connect&, const io::Completion& completion) {
    if (completion.result < 0)
      give_up(fmt::format("cannot connect: {}", std::strerror(-completion.result)));
    send_.socket = receive_.socket = connect_.socket;
    compose();
    run_.proactor.submit(receive_);
    expect(1);
    step_ = Step::greeting;
  }

  /// Content and envelopes, with places of fixed width for the message's number.
  void compose() {
    text_ = fmt::format("Message-ID: <{}@bench.example>\r\n", number_of(0));
    id_at_ = text_.find('<') + 1;
    text_ += "From: a@sender.example\r\nTo: r@example.net\r\nSubject: bare\r\n\r\n";
    while (text_.size() < run_.options.bytes) {
      const size_t left = run_.options.bytes - text_.size();
      text_.append(std::min<size_t>(left, 76), 'x');
      text_ += "\r\n";
    }
    text_ += ".\r\n";
    content_bytes_ = text_.size();
    text_ += fmt::format(
        "MAIL FROM:<bounce@sender.example>\r\nRCPT TO:<r{}@example.net>\r\nDATA\r\n", number_of(0));
    recipient_at_ = text_.rfind("<r") + 2;
  }

  static std::string number_of(uint64_t number) { return fmt::format("{:012}", number); }

  void put_number(size_t at, uint64_t number) { text_.replace(at, 12, number_of(number)); }

  void say(size_t from, size_t size, unsigned replies) {
    send_.bytes = std::as_bytes(std::span(text_)).subspan(from, size);
    run_.proactor.submit(send_);
    expect(replies);
  }

  void say_line(const std::string& line) {
    line_ = line;
    send_.bytes = std::as_bytes(std::span(line_));
    run_.proactor.submit(send_);
    expect(1);
  }

  void expect(unsigned replies) { awaited_ = replies; }

  void sent(io::Send&, const io::Completion& completion) {
    if (completion.result < 0)
      give_up(fmt::format("sending: {}", std::strerror(-completion.result)));
    go_on();
  }

  void received(io::Receive&, const io::Completion& completion) {
    if (completion.result <= 0) {
      if (step_ != Step::quitting) give_up("the server closed the connection");
      --run_.open_sessions;
      return;
    }
    for (const std::byte octet : completion.bytes) {
      const char c = static_cast<char>(octet);
      if (column_ == 0 && c != '2' && c != '3') give_up("the server refused something");
      if (column_ == 3) is_last_line_ = c == ' ';
      ++column_;
      if (c != '\n') continue;
      column_ = 0;
      if (is_last_line_) --awaited_;
    }
    go_on();
  }

  /// Once all that was said is sent and answered.
  void go_on() {
    if (awaited_ > 0 || send_.in_flight || step_ == Step::quitting) return;
    switch (step_) {
      case Step::greeting: step_ = Step::ehlo; return say_line("EHLO bench.example\r\n");
      case Step::ehlo:     return say_envelope();
      case Step::envelope: return say_content();
      case Step::content:
        ++run_.accepted;
        if (next_has_envelope_) return say_content();
        return say_envelope();
      default: return;
    }
  }

  bool take_next() {
    if (run_.begun == run_.options.messages) return false;
    number_ = run_.begun++;
    put_number(recipient_at_, number_);
    return true;
  }

  void say_envelope() {
    if (!take_next()) {
      step_ = Step::quitting;
      return say_line("QUIT\r\n");
    }
    step_ = Step::envelope;
    say(content_bytes_, text_.size() - content_bytes_, 3);
  }

  void say_content() {
    step_ = Step::content;
    put_number(id_at_, number_);
    next_has_envelope_ = !run_.options.separate_envelope && take_next();
    say(0, next_has_envelope_ ? text_.size() : content_bytes_, next_has_envelope_ ? 4 : 1);
  }

  enum class Step : uint8_t { greeting, ehlo, envelope, content, quitting };

  Run& run_;
  io::Connect connect_;
  io::Send send_;
  io::Receive receive_;
  std::string text_, line_;
  size_t content_bytes_ = 0, id_at_ = 0, recipient_at_ = 0;
  uint64_t number_ = 0;
  unsigned awaited_ = 0, column_ = 0;
  Step step_ = Step::greeting;
  bool is_last_line_ = false, next_has_envelope_ = false;
};

int run(const Options& options) {
  const auto remote = io::SocketAddress::parse(options.remote);
  if (!remote) give_up(remote.error());
  auto uring = io::open_uring();
  if (!uring) give_up(uring.error().message);
  Run run{.options = options, .proactor = **uring, .remote = *remote};
  const io::Instant start = (*uring)->now();
  std::vector<std::unique_ptr<Session>> sessions;
  for (unsigned i = 0; i < options.sessions; ++i)
    sessions.push_back(std::make_unique<Session>(run));
  while (run.open_sessions > 0) (*uring)->wait(io::never, io::EventLoop::turn_budget);
  const double seconds = std::chrono::duration<double>((*uring)->now() - start).count();
  fmt::print("{} messages of {} octets in {:.2f} s: {:.0f}/s\n", run.accepted, options.bytes,
             seconds, static_cast<double>(run.accepted) / seconds);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) {
  CLI::App app("Sends mail as fast as a ring can, with nothing behind it.");
  sluice::bench::Options options;
  app.add_option("--messages", options.messages, "Messages in all")->capture_default_str();
  app.add_option("--bytes", options.bytes, "Octets a message")->capture_default_str();
  app.add_option("--sessions", options.sessions, "Connections")->capture_default_str();
  app.add_flag("--separate-envelope", options.separate_envelope,
               "Two round trips a message: no envelope behind the final dot");
  app.add_option("remote", options.remote, "ADDRESS:PORT")->required();
  CLI11_PARSE(app, argc, argv);
  return sluice::bench::run(options);
}
