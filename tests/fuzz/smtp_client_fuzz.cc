// The client machine against any server. The input is a script of the world: an octet below 0x10
// says what happens (offer, produce, quit, fail, a handshake went well); the first one, how the
// session is opened. Any other octet, 0x0d and 0x0a among them, is
// said by the server; runs of them arrive in one piece.

#include <algorithm>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/smtp/client.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::smtp;

struct Content final : Body {
  size_t read(std::span<char> out) override {
    const size_t n = std::min(out.size(), octets.size());
    octets.copy(out.data(), n);
    octets.remove_prefix(n);
    return n;
  }
  std::string_view octets;
};

struct Mail {
  std::string sender;
  std::vector<std::string_view> recipients;
  std::vector<bool> has_verdict;
  Content body;
  bool is_over = false;
};

class World final : Client::Listener {
 public:
  explicit World(std::string_view script)
      : client_("me.example", *this, opening(script.empty() ? '\0' : script[0])) {}

  void run(std::string_view script) {
    std::string heard;
    for (const char c : script) {
      if (static_cast<unsigned char>(c) >= 0x10 || c == '\r' || c == '\n') {
        heard += c;
        continue;
      }
      hear(std::exchange(heard, {}));
      happen(c);
    }
    hear(heard);
    produce(4096);
    client_.fail("the end");
    CHECK(client_.is_closed() && !client_.wants_transaction());
    client_.receive(heard);
    produce(4096);
    for (const Mail& mail : mails_) CHECK(mail.is_over);
  }

 private:
  static Opening opening(char first) {
    static const Credentials credentials{"user", "pencil"};
    if (first == 8) return {.tls = Opening::Tls::if_offered};
    if (first == 9) return {.tls = Opening::Tls::demanded, .login = &credentials};
    return {};
  }

  // What comes in place of a handshake breaks it.
  void hear(const std::string& octets) {
    if (!client_.awaits_tls())
      client_.receive(octets);
    else if (!octets.empty())
      client_.fail("TLS handshake failed");
  }

  void happen(char event) {
    switch (event) {
      case 0: return offer("a@s.example", 1, 20, {});
      case 1: return offer("b@s.example", 3, 5000, {.bytes = 5000});
      case 2:
        return offer("\xc3\xa9@s.example", 2, 0, {.needs_8bitmime = true, .needs_smtputf8 = true});
      case 3:  return offer("x> y@s.example", 1, 20, {});
      case 4:  return client_.quit();
      case 5:  return client_.fail("timed out");
      case 11: return client_.awaits_tls() ? client_.tls_started(true) : void();
      case 6:  return produce(Client::produce_bytes_min);
      default: return produce(4096);
    }
  }

  void offer(std::string sender, unsigned recipients, size_t octets, Transaction transaction) {
    if (!client_.wants_transaction()) return;
    static const std::string content = std::string(4998, 'x') + "\r\n";
    static constexpr std::string_view addresses[] = {"u@r.example", "v w@r.example", "x@r.example"};
    Mail& mail = mails_.emplace_back();
    mail.sender = std::move(sender);
    mail.recipients.assign(addresses, addresses + recipients);
    mail.has_verdict.resize(recipients);
    mail.body.octets = std::string_view(content).substr(content.size() - octets);
    transaction.sender = mail.sender;
    transaction.recipients = mail.recipients;
    transaction.body = &mail.body;
    client_.offer(transaction);
  }

  void produce(size_t room) {
    std::vector<char> out(room);
    const size_t octets = client_.produce(out);
    CHECK(octets <= room);
    const bool ends_in_line = octets < room || out[octets - 1] == '\n';
    CHECK(octets == 0 || ends_in_line || client_.stage() == Stage::block);
  }

  Mail& mail(TransactionNumber t) { return *std::next(mails_.begin(), t); }

  void recipient_ended(TransactionNumber t, unsigned r, const Verdict& v) override {
    CHECK(!mail(t).is_over && !mail(t).has_verdict.at(r));
    CHECK(v.result != Result::success || (v.stage == Stage::final_dot && v.code / 100 == 2));
    mail(t).has_verdict[r] = true;
  }
  void recipient_returned(TransactionNumber t, unsigned r) override {
    CHECK(!mail(t).is_over && !mail(t).has_verdict.at(r));
    mail(t).has_verdict[r] = true;
  }
  void transaction_ended(TransactionNumber t) override {
    CHECK(!std::exchange(mail(t).is_over, true));
    for (const bool has_verdict : mail(t).has_verdict) CHECK(has_verdict);
    offer("again@s.example", 1, 20, {});
  }
  void dot_withheld(TransactionNumber) override { abort(); }
  void transaction_returned(TransactionNumber t) override {
    CHECK(!std::exchange(mail(t).is_over, true));
    for (const bool has_verdict : mail(t).has_verdict) CHECK(!has_verdict);
  }
  void session_opened() override {}
  void session_failed(const Verdict& v) override {
    CHECK(!has_failed_ && v.result != Result::success);
    has_failed_ = true;
    for (const Mail& mail : mails_) CHECK(mail.is_over);
  }

  std::list<Mail> mails_;
  bool has_failed_ = false;
  Client client_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view script(reinterpret_cast<const char*>(data), size);
  World(script).run(script);
  return 0;
}
