// The cost of the SMTP client machine alone: replies cut, and one message in a session in steady
// state.

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/client.h"
#include "engine/smtp/reply_parser.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::smtp;

void parse_replies(benchmark::State& state, std::string_view octets) {
  size_t replies = 0;
  ReplyParser parser;
  for (auto _ : state) {
    std::string_view rest = octets;
    Reply reply;
    while (parser.next(rest, reply) == ReplyParser::Step::reply) ++replies;
    benchmark::DoNotOptimize(reply);
  }
  state.SetItemsProcessed(static_cast<int64_t>(replies));
}

void ReplyParser_flight_of_four(benchmark::State& state) {
  parse_replies(state,
                "250 2.0.0 Ok: queued as 4ZtY8x0JzXz1\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End "
                "data with <CR><LF>.<CR><LF>\r\n");
}
BENCHMARK(ReplyParser_flight_of_four);

void ReplyParser_of_three_lines(benchmark::State& state) {
  parse_replies(state, "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n");
}
BENCHMARK(ReplyParser_of_three_lines);

struct Zeros final : Body {
  size_t read(std::span<char> out) override {
    const size_t n = std::min(out.size(), left);
    left -= n;
    if (n > 0) {
      std::memset(out.data(), 'x', n);
      if (left == 0) std::memcpy(out.data() + n - 2, "\r\n", 2);
    }
    return n;
  }
  size_t left = 0;
};

// A peer with PIPELINING that grants everything; a new transaction whenever one is wanted.
class SteadyState final : Client::Listener {
 public:
  explicit SteadyState(size_t content_bytes) : content_bytes_(content_bytes) {
    offer();
    hear("220 mx.example\r\n");
    say();
    hear("250-mx.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n");
    say();
    hear("250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go\r\n");
    say();
  }
  // One round trip: the reply to a dot and to the next envelope, then content, dot and the envelope
  // after.
  void turn() {
    hear("250 2.0.0 Ok: queued as 4ZtY8x0JzXz1\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go\r\n");
    say();
  }
  int64_t delivered = 0;

 private:
  void hear(std::string_view octets) { client_.receive({octets.data(), octets.size()}); }
  void say() {
    while (client_.produce(out_) > 0) benchmark::ClobberMemory();
  }
  void offer() {
    while (client_.wants_transaction()) {
      Zeros& body = bodies_[offered_++ % bodies_.size()];
      body.left = content_bytes_;
      client_.offer({.sender = "bounce+1234567@news.example",
                     .recipients = to_,
                     .bytes = content_bytes_,
                     .body = &body});
    }
  }
  void recipient_ended(TransactionNumber, unsigned, const Verdict& v) override {
    delivered += v.result == Result::success;
  }
  void recipient_returned(TransactionNumber, unsigned) override { CHECK(false); }
  void transaction_ended(TransactionNumber) override { offer(); }
  void dot_withheld(TransactionNumber) override { CHECK(false); }
  void transaction_returned(TransactionNumber) override { CHECK(false); }
  void session_opened() override {}
  void session_failed(const Verdict&) override { CHECK(false); }

  const size_t content_bytes_;
  size_t offered_ = 0;
  std::array<Zeros, Client::transactions_open_max> bodies_;
  const std::vector<std::string_view> to_{"recipient.1234567@customer.example"};
  std::vector<char> out_ = std::vector<char>(16384);
  Client client_{"mta1.news.example", *this};
};

void Client_message(benchmark::State& state) {
  SteadyState session(static_cast<size_t>(state.range(0)));
  for (auto _ : state) session.turn();
  CHECK(session.delivered == static_cast<int64_t>(state.iterations()));
  state.SetItemsProcessed(session.delivered);
}
BENCHMARK(Client_message)->Arg(2)->Arg(10 * 1024);

}  // namespace
