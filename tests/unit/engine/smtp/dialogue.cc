#include "tests/unit/engine/smtp/dialogue.h"

#include <charconv>
#include <list>
#include <memory>
#include <sstream>
#include <vector>

#include "tests/unit/engine/smtp/event_recorder.h"

namespace sluice::engine::smtp {
namespace {

struct Step {
  char kind;
  std::string text;
  unsigned line;
};

std::vector<Step> parse(std::string_view script) {
  std::vector<Step> steps;
  std::istringstream lines{std::string(script)};
  unsigned number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const size_t begin = line.find_first_not_of(' ');
    if (begin == std::string::npos) continue;
    std::string rest = line.substr(begin);
    if (rest.size() < 2 || rest[1] != ':') {
      steps.push_back({'?', rest, number});
      continue;
    }
    steps.push_back({rest[0], rest.size() > 3 ? rest.substr(3) : "", number});
  }
  return steps;
}

struct Offer {
  explicit Offer(const std::string& text) {
    std::istringstream words(text);
    std::string word;
    words >> sender >> word;
    if (sender == "<>") sender.clear();
    while (words >> word && word != ";") recipients.push_back(word);
    while (words >> word) {
      if (word.starts_with("size=")) bytes = std::stoull(word.substr(5));
      if (word.starts_with("body=")) body.octets = word.substr(5) + "\r\n";
      if (word.starts_with("envid=")) envelope_id = word.substr(6);
      if (word.starts_with("notify=")) dsn.notify = parse_notify(word.substr(7)).value();
      if (word.starts_with("ret=")) dsn.returned = parse_returned_content(word.substr(4)).value();
      needs_8bit |= word == "8bit";
      needs_tls |= word == "requiretls";
      needs_utf8 |= word == "utf8";
    }
    views.assign(recipients.begin(), recipients.end());
    dsn.envelope_id = envelope_id;
  }
  Transaction transaction() {
    return {.sender = sender,
            .recipients = views,
            .bytes = bytes,
            .needs_8bitmime = needs_8bit,
            .needs_smtputf8 = needs_utf8,
            .needs_requiretls = needs_tls,
            .dsn = dsn,
            .body = &body};
  }
  std::string sender, envelope_id;
  DsnRequest dsn;
  std::vector<std::string> recipients;
  std::vector<std::string_view> views;
  uint64_t bytes = 0;
  bool needs_8bit = false, needs_utf8 = false, needs_tls = false;
  StringBody body{"hello\r\n"};
};

/// How the server's octets are cut, and what room the client has to write.
struct Manner {
  size_t cut_at = SIZE_MAX;  // 0: an octet at a time
  size_t produce_bytes = 65536;
  bool answers_between = false;
};

class Performance {
 public:
  Performance(const std::vector<Step>& steps, Manner manner)
      : steps_(steps), manner_(manner), client_("me.example", recorder_, opening()) {
    recorder_.on_transaction_gone = [this] { offer_what_waits(); };
  }

  std::string run() {
    for (size_t i = 0; i < steps_.size() && error_.empty(); ++i) {
      line_ = steps_[i].line;
      if (steps_[i].kind != 'S') {
        perform(steps_[i]);
        continue;
      }
      expect_nothing_more();
      std::string octets;
      for (; i < steps_.size() && steps_[i].kind == 'S'; ++i) octets += steps_[i].text + "\r\n";
      --i;
      feed(octets);
      pump();
    }
    if (error_.empty()) expect_nothing_more();
    return error_;
  }

  size_t server_octets() const { return fed_; }

 private:
  Opening opening() const {
    Opening opening;
    for (const Step& step : steps_) {
      if (step.kind != 'L') continue;
      if (step.text.contains("if-offered")) opening.tls = Opening::Tls::if_offered;
      if (step.text.contains("demanded")) opening.tls = Opening::Tls::demanded;
      if (step.text.contains("login")) opening.login = &credentials_;
    }
    return opening;
  }

  void complain(const std::string& what) {
    if (error_.empty()) error_ = fmt::format("line {}: {}", line_, what);
  }

  void perform(const Step& step) {
    switch (step.kind) {
      case 'C': return expect_said(step.text + "\r\n");
      case 'E': return expect_event(step.text);
      case 'O': waiting_.emplace_back(step.text); break;
      case 'Q': client_.quit(); break;
      case 'F': client_.fail(step.text); break;
      case 'L': return;
      case 'T':
        if (!client_.awaits_tls()) return complain("no handshake is awaited");
        client_.tls_started(step.text == "authenticated");
        break;
      case 'G':
        if (name(client_.stage()) != step.text)
          complain(fmt::format("stage is {}", name(client_.stage())));
        return;
      default: return complain("no such step");
    }
    offer_what_waits();
    pump();
  }

  void offer_what_waits() {
    while (!waiting_.empty() && client_.wants_transaction()) {
      offers_.splice(offers_.end(), waiting_, waiting_.begin());
      client_.offer(offers_.back().transaction());
    }
  }

  void pump() {
    const auto out = std::make_unique<char[]>(manner_.produce_bytes);
    while (const size_t n = client_.produce({out.get(), manner_.produce_bytes}))
      said_.append(out.get(), n);
  }

  void feed(std::string_view octets) {
    while (!octets.empty()) {
      size_t n = octets.size();
      if (manner_.cut_at == 0)
        n = 1;
      else if (manner_.cut_at > fed_ && manner_.cut_at < fed_ + n)
        n = manner_.cut_at - fed_;
      // A copy of just that size, for the sanitizers to see what is read beyond it.
      const std::vector<char> piece(octets.begin(),
                                    octets.begin() + static_cast<std::ptrdiff_t>(n));
      client_.receive(piece);
      fed_ += n;
      octets.remove_prefix(n);
      if (manner_.answers_between) pump();
    }
  }

  void expect_said(const std::string& text) {
    if (!said_.starts_with(text)) return complain(fmt::format("client said {:?}", said_));
    said_.erase(0, text.size());
  }

  void expect_event(std::string expected) {
    if (recorder_.events.empty()) return complain("nothing was told");
    const auto event = recorder_.events.front();
    recorder_.events.pop_front();
    const size_t bar = expected.find(" | ");
    if (bar != std::string::npos) {
      std::string text;
      for (const char c : event.text) c == '\n' ? text += "\\n" : text += c;
      if (text != expected.substr(bar + 3)) complain(fmt::format("the text is \"{}\"", text));
      expected.resize(bar);
    }
    if (event.line != expected) complain(fmt::format("told was \"{}\"", event.line));
  }

  void expect_nothing_more() {
    if (!said_.empty()) complain(fmt::format("by then the client has said more: {:?}", said_));
    if (!recorder_.events.empty())
      complain(fmt::format("by then more was told: \"{}\"", recorder_.events.front().line));
  }

  const std::vector<Step>& steps_;
  const Manner manner_;
  EventRecorder recorder_;
  const Credentials credentials_{"user", "pencil"};
  Client client_;
  std::list<Offer> offers_, waiting_;
  std::string said_, error_;
  size_t fed_ = 0;
  unsigned line_ = 0;
};

}  // namespace

std::string play(std::string_view script, bool may_answer_between_pieces) {
  const std::vector<Step> steps = parse(script);
  Performance whole(steps, {});
  if (std::string error = whole.run(); !error.empty()) return error;
  for (const size_t produce_bytes :
       {Client::produce_bytes_min, Client::produce_bytes_min + 1, size_t{4096}}) {
    for (size_t cut_at = 0; cut_at <= whole.server_octets(); ++cut_at) {
      for (int between = 0; between <= (may_answer_between_pieces ? 1 : 0); ++between) {
        const std::string error = Performance(steps, {cut_at, produce_bytes, between == 1}).run();
        if (!error.empty()) {
          return fmt::format("cut at {}, {} octets of room, {} between: {}", cut_at, produce_bytes,
                             between ? "answers" : "silent", error);
        }
      }
    }
  }
  return {};
}

}  // namespace sluice::engine::smtp
