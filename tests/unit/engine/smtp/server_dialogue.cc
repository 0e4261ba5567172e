#include "tests/unit/engine/smtp/server_dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace sluice::engine::smtp {
namespace {

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r': out += '\r'; break;
      case 'n': out += '\n'; break;
      case '0': out += '\0'; break;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default: out += text[i];
    }
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (c == '\\')
      out += "\\\\";
    else if (c >= ' ' && c <= '~')
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

struct Line {
  char kind;
  std::string text;
};

std::vector<Line> lines_of(std::string_view script) {
  std::vector<Line> lines;
  while (!script.empty()) {
    std::string_view line = script.substr(0, script.find('\n'));
    script.remove_prefix(std::min(line.size() + 1, script.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.empty()) continue;
    lines.push_back({line[0], std::string(line.size() > 3 ? line.substr(3) : "")});
  }
  return lines;
}

/// How the pieces are cut: `at` counts octets over all of them.
struct Cut {
  size_t at = SIZE_MAX;
  bool is_everywhere = false;
};

class Player {
  using Event = Server::Event;

 public:
  Player(const ServerOptions& options, Cut cut) : server_(options), cut_(cut) {}

  /// Octets said; what went otherwise is in error().
  size_t play(const std::vector<Line>& lines) {
    for (const Line& line : lines) {
      if (line.kind == 'C' || line.kind == 'c') {
        greet();
        said_ += unescaped(line.text) + (line.kind == 'C' ? "\r\n" : "");
        continue;
      }
      flush();
      take(line);
      if (!error_.empty()) return octets_;
    }
    flush();
    if (!heard_.empty()) error_ = "more was heard: " + heard_.front();
    return octets_;
  }
  const std::string& error() const { return error_; }

 private:
  void greet() {
    if (is_greeted_) return;
    is_greeted_ = true;
    std::string out;
    server_.greet(out);
    if (out != "220 mx.example ESMTP Sluice\r\n") error_ = "greeting: " + out;
  }

  void take(const Line& line) {
    switch (line.kind) {
      case 'T': server_.tls_started(); break;
      case 'R': server_.refuse_message(line.text); break;
      case 'A': {
        const size_t blank = line.text.find(' ');
        answers_[line.text.substr(0, blank)].push_back(line.text.substr(blank + 1));
        break;
      }
      case 'H':
        greet();
        said_ = "EHLO c.example\r\n";
        flush();
        while (!heard_.empty() && heard_.front().starts_with("S: 250-")) heard_.pop_front();
        expect("S: 250 LIMITS RCPTMAX=3 MAILMAX=1000");
        break;
      default: expect(fmt::format("{}: {}", line.kind, line.text));
    }
  }

  void expect(const std::string& line) {
    const std::string heard = heard_.empty() ? "nothing" : heard_.front();
    if (heard != line) error_ = fmt::format("wanted: {}\nheard:  {}", line, heard);
    if (!heard_.empty()) heard_.pop_front();
  }

  void flush() {
    const std::string said = std::exchange(said_, {});
    size_t begin = 0;
    for (size_t at = 1; at <= said.size(); ++at) {
      ++octets_;
      if (at == said.size() || cut_.is_everywhere || octets_ == cut_.at) {
        // A copy of its own, so that a look beyond it is found out.
        const std::vector<char> piece(said.begin() + static_cast<std::ptrdiff_t>(begin),
                                      said.begin() + static_cast<std::ptrdiff_t>(at));
        hear(piece);
        begin = at;
      }
    }
  }

  void hear(std::span<const char> piece) {
    auto input = std::as_bytes(piece);
    for (;;) {
      std::string out;
      const Event event = server_.next(input, out);
      take_replies(out);
      if (event == Event::closed) {
        if (!std::exchange(is_closed_, true)) heard_.push_back("E: closed");
        return;
      }
      if (event == Event::needs_input) return;
      if (event == Event::piece)
        content_ += server_.piece();
      else if (event != Event::replied)
        happen(event);
    }
  }

  void happen(Event event) {
    const auto [name, text] = described(event);
    heard_.push_back(fmt::format("E: {}{}{}", name, text.empty() ? "" : " ", text));
    if (event == Event::content || event == Event::dropped) content_.clear();
    if (!server_.is_owed()) return;
    std::string reply;
    if (auto& answers = answers_[name]; !answers.empty()) {
      reply = answers.front();
      answers.pop_front();
    }
    std::string out;
    server_.answer(out, reply);
    take_replies(out);
    if (event == Event::starttls && !server_.is_closed() && out.starts_with("220"))
      server_.tls_started();
  }

  std::pair<std::string, std::string> described(Event event) {
    const Incoming& envelope = server_.envelope();
    switch (event) {
      case Event::auth:
        return {"auth",
                fmt::format("{}:{}", server_.credentials().user, server_.credentials().password)};
      case Event::starttls: return {"starttls", ""};
      case Event::etrn:     return {"etrn", server_.etrn_target()};
      case Event::content:  return {"content", ""};
      case Event::dropped:  return {"dropped", std::string(server_.refusal())};
      case Event::mail:
        return {"mail",
                fmt::format("<{}>{}{}{}{}{}", escaped(envelope.sender),
                            envelope.bytes_declared != 0
                                ? fmt::format(" size={}", envelope.bytes_declared)
                                : "",
                            envelope.is_8bit ? " 8bit" : "", envelope.is_smtputf8 ? " utf8" : "",
                            envelope.returned == ReturnedContent::full      ? " full"
                            : envelope.returned == ReturnedContent::headers ? " headers"
                                                                            : "",
                            envelope.envelope_id.empty() ? "" : " id=" + envelope.envelope_id)};
      case Event::rcpt: {
        const IncomingRecipient& recipient = envelope.recipients().back();
        return {"rcpt",
                fmt::format("<{}>{}{}{}{}", escaped(recipient.address),
                            recipient.notify != 0 ? " notify=" : "", notify_text(recipient.notify),
                            recipient.original.empty() ? "" : " orcpt=" + recipient.original,
                            recipient.needs_smtputf8 ? " utf8" : "")};
      }
      case Event::message: {
        if (server_.content_bytes() != content_.size()) error_ = "content_bytes() is wrong";
        return {"message", fmt::format("{}{} {}", content_.size(), server_.is_8bit() ? " 8bit" : "",
                                       escaped(content_))};
      }
      default: return {"?", ""};
    }
  }

  void take_replies(std::string_view out) {
    while (!out.empty()) {
      const size_t end = out.find("\r\n");
      if (end == out.npos) {
        error_ = "no line: " + std::string(out);
        return;
      }
      heard_.push_back("S: " + std::string(out.substr(0, end)));
      out.remove_prefix(end + 2);
    }
  }

  Server server_;
  Cut cut_;
  bool is_greeted_ = false, is_closed_ = false;
  size_t octets_ = 0;
  std::string said_, content_, error_;
  std::deque<std::string> heard_;
  std::map<std::string, std::deque<std::string>> answers_;
};

}  // namespace

ServerOptions dialogue_options() {
  return {.hostname = "mx.example",
          .message_bytes_max = 1000,
          .recipients_max = 3,
          .transactions_max = 1000,
          .offers_starttls = true,
          .offers_auth = true,
          .offers_etrn = true};
}

std::string play_server(std::string_view script, const ServerOptions& options, bool is_whole_only) {
  const std::vector<Line> lines = lines_of(script);
  Player whole(options, {});
  const size_t octets = whole.play(lines);
  if (!whole.error().empty() || is_whole_only) return whole.error();
  for (size_t at = 1; at <= octets; ++at) {
    Player player(options, {.at = at, .is_everywhere = at == octets});
    player.play(lines);
    if (!player.error().empty()) return fmt::format("cut at {}: {}", at, player.error());
  }
  return "";
}

}  // namespace sluice::engine::smtp
