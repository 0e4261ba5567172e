#include "tests/sim/world/mail_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace sluice::sim {

using std::chrono::seconds;

namespace {

std::string stuffed(std::string_view content) {
  std::string out;
  for (size_t i = 0; i < content.size(); ++i) {
    if (content[i] == '.' && (i == 0 || content[i - 1] == '\n')) out += '.';
    out += content[i];
  }
  return out + ".\r\n";
}

}  // namespace

/// One connection. What was sent and not yet replied to stands in expected_; the last of a message
/// is its own 250.
class MailClient::Session {
 public:
  explicit Session(MailClient& client) : client_(client) {
    connect_.remote = client.relay_;
    connect_.bind<&Session::connected>(this);
    receive_.bind<&Session::received>(this);
    send_.bind<&Session::sent>(this);
    close_.bind<&Session::closed>(this);
    client.proactor_.submit(connect_);
  }

  bool is_over() const { return is_over_; }

 private:
  enum class Expected : uint8_t { greeting, ehlo, mail, rcpt, data, chunk, message, quit };

  Random& random() { return client_.world_.random(); }

  void connected(io::Connect& op, const io::Completion& completion) {
    if (completion.result < 0) return end();
    socket_ = receive_.socket = send_.socket = close_.socket = op.socket;
    expected_.push_back(Expected::greeting);
    client_.proactor_.submit(receive_);
    patience_ = ++patience_given_;
    wait();
  }

  /// A relay that says nothing for ten minutes is given up.
  void wait() {
    client_.world_.after(std::chrono::minutes(10),
                         [this, alive = std::weak_ptr(alive_), number = patience_] {
                           if (!alive.expired() && number == patience_) leave();
                         });
  }

  void received(io::Receive&, const io::Completion& completion) {
    if (completion.result <= 0) return leave();
    input_.append(reinterpret_cast<const char*>(completion.bytes.data()), completion.bytes.size());
    patience_ = ++patience_given_;
    wait();
    for (size_t end = 0; !is_leaving_ && (end = input_.find("\r\n")) != input_.npos;) {
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 2);
      if (line.size() < 4 || line[3] == '-') continue;
      replied(line);
    }
  }

  void replied(const std::string& line) {
    if (expected_.empty()) {
      if (!line.starts_with("421")) client_.violations_.push_back("a reply to nothing: " + line);
      return leave();
    }
    const Expected to = expected_.front();
    expected_.pop_front();
    const bool is_yes = line[0] == (to == Expected::data ? '3' : '2');
    if (to == Expected::message && is_yes) submission_->is_acknowledged = true;
    if (!is_yes) return leave();
    switch (to) {
      case Expected::greeting: return say("EHLO client.test\r\n", {Expected::ehlo});
      case Expected::ehlo:
      case Expected::message:  return begin_message();
      case Expected::data:     return send_content();
      case Expected::quit:     return leave();
      default:
        if (!expected_.empty()) return;
        return script_.empty() ? void() : next_command();
    }
  }

  void begin_message() {
    if (client_.is_stopping_ || random().chance(0.05)) return say("QUIT\r\n", {Expected::quit});
    submission_ = &client_.compose();
    script_ = {{"MAIL FROM:<" + submission_->sender + ">\r\n", Expected::mail}};
    for (const std::string& recipient : submission_->recipients)
      script_.push_back({"RCPT TO:<" + recipient + ">\r\n", Expected::rcpt});
    is_chunked_ = random().chance(0.3);
    if (!is_chunked_) script_.push_back({"DATA\r\n", Expected::data});
    if (!random().chance(0.7)) return next_command();
    std::string flight;
    std::vector<Expected> replies;
    for (auto& [text, reply] : std::exchange(script_, {})) {
      flight += text;
      replies.push_back(reply);
    }
    if (is_chunked_) return say_chunks(std::move(flight), std::move(replies));
    say(std::move(flight), std::move(replies));
  }

  void next_command() {
    auto [text, reply] = script_.front();
    script_.pop_front();
    if (is_chunked_ && script_.empty()) return say_chunks(std::move(text), {reply});
    say(std::move(text), {reply});
  }

  void say_chunks(std::string before, std::vector<Expected> replies) {
    const std::string& content = submission_->content;
    const size_t cut = random().chance(0.5) ? random().below(content.size()) : 0;
    if (cut > 0) {
      before += fmt::format("BDAT {}\r\n{}", cut, content.substr(0, cut));
      replies.push_back(Expected::chunk);
    }
    before += fmt::format("BDAT {} LAST\r\n{}", content.size() - cut, content.substr(cut));
    replies.push_back(Expected::message);
    if (gives_up(before, content.size() / 2)) replies.pop_back();
    say(std::move(before), std::move(replies));
  }

  void send_content() {
    std::string octets = stuffed(submission_->content);
    if (gives_up(octets, octets.size())) return say(std::move(octets), {});
    say(std::move(octets), {Expected::message});
  }

  /// Now and then the last octets never come: `octets` are cut by up to `most`.
  bool gives_up(std::string& octets, size_t most) {
    if (!random().chance(0.03)) return false;
    octets.resize(octets.size() - 1 - random().below(most));
    client_.world_.after(seconds(1), [this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) leave();
    });
    return true;
  }

  void say(std::string text, std::vector<Expected> replies) {
    expected_.insert(expected_.end(), replies.begin(), replies.end());
    output_ += text;
    if (!send_.in_flight) flush();
  }

  void flush() {
    if (output_.empty() || is_leaving_) return;
    sending_ = std::exchange(output_, {});
    send_.bytes = std::as_bytes(std::span<const char>(sending_));
    client_.proactor_.submit(send_);
  }

  void sent(io::Send&, const io::Completion& completion) {
    if (completion.result < 0 || is_leaving_) return leave();
    flush();
  }

  void leave() {
    is_leaving_ = true;
    if (receive_.in_flight && !receive_.cancelled) client_.proactor_.cancel(receive_);
    if (send_.in_flight && !send_.cancelled) client_.proactor_.cancel(send_);
    if (receive_.in_flight || send_.in_flight || close_.in_flight || !socket_.is_open()) return;
    socket_ = {};
    client_.proactor_.submit(close_);
  }

  void closed(io::CloseSocket&, const io::Completion&) { end(); }

  void end() {
    is_over_ = true;
    client_.ended();
  }

  MailClient& client_;
  io::Socket socket_;
  io::Connect connect_;
  io::Receive receive_;
  io::Send send_;
  io::CloseSocket close_;
  std::string input_, output_, sending_;
  std::deque<Expected> expected_;
  std::deque<std::pair<std::string, Expected>> script_;
  Submission* submission_ = nullptr;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();
  uint64_t patience_ = 0, patience_given_ = 0;
  bool is_chunked_ = false, is_leaving_ = false, is_over_ = false;
};

MailClient::MailClient(World& world, const io::SocketAddress& relay, std::string name,
                       unsigned servers)
    : world_(world),
      process_(world.start(Owner::theirs)),
      proactor_(process_.proactor()),
      relay_(relay),
      name_(std::move(name)),
      servers_(servers) {
  proactor_.drive([this] { proactor_.wait(io::never, 64); });
  connect();
}

MailClient::~MailClient() {
  proactor_.stop_driving();
  world_.kill(process_);
}

void MailClient::connect() { session_ = std::make_unique<Session>(*this); }

void MailClient::ended() {
  if (is_stopping_) return;
  world_.after(seconds(1), [this] {
    if (!is_stopping_ && session_->is_over()) connect();
  });
}

Submission& MailClient::compose() {
  Random& random = world_.random();
  const size_t number = submissions_.size();
  Submission submission{.sender = fmt::format("{}-{}@client.test", name_, number)};
  const uint64_t recipients = random.chance(0.7) ? 1 : random.between(2, 5);
  for (uint64_t i = 0; i < recipients; ++i)
    submission.recipients.push_back(
        fmt::format("{}-{}-{}@d{}.test", name_, number, i, random.below(servers_)));
  submission.content = fmt::format("Subject: {}-{}\r\n\r\n.a dot\r\n..and two\r\n", name_, number);
  const uint64_t size = random.chance(0.1) ? random.below(40'000) : random.below(400);
  while (submission.content.size() < size)
    submission.content += fmt::format("{:x}\r\n", random.below(UINT64_MAX));
  return submissions_.emplace_back(std::move(submission));
}

}  // namespace sluice::sim
