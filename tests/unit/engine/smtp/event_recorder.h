#pragma once

#include <fmt/format.h>

#include <deque>
#include <functional>
#include <string>

#include "engine/smtp/client.h"

namespace sluice::engine::smtp {

inline std::string_view name(Result result) {
  constexpr std::string_view names[] = {"success", "transient", "permanent", "unknown"};
  return names[static_cast<unsigned>(result)];
}

inline std::string_view name(Scope scope) {
  constexpr std::string_view names[] = {"recipient", "message", "session", "host"};
  return names[static_cast<unsigned>(scope)];
}

/// `permanent message mail 550 5.7.1`, and our reason in parentheses where there is one.
inline std::string brief(const Verdict& v) {
  std::string text = fmt::format("{} {} {}", name(v.result), name(v.scope), name(v.stage));
  if (v.code) text += fmt::format(" {}", v.code);
  if (v.enhanced)
    text += fmt::format(" {}.{}.{}", v.enhanced.status, v.enhanced.subject, v.enhanced.detail);
  if (!v.reason.empty()) text += fmt::format(" ({})", v.reason);
  return text;
}

/// What the machine told, as lines: `0.1 success recipient final_dot 250`, `0 ended`, `1 returned`,
/// `opened`, `failed ...`.
struct EventRecorder final : Client::Listener {
  struct Event {
    std::string line;
    std::string text;  // the peer's words, if any
  };
  std::deque<Event> events;
  std::function<void()> on_transaction_gone = [] {};

  void recipient_ended(TransactionNumber t, unsigned r, const Verdict& v) override {
    events.push_back({fmt::format("{}.{} {}", t, r, brief(v)), std::string(v.text)});
  }
  void recipient_returned(TransactionNumber t, unsigned r) override {
    events.push_back({fmt::format("{}.{} returned", t, r), {}});
  }
  void transaction_ended(TransactionNumber t) override {
    events.push_back({fmt::format("{} ended", t), {}});
    on_transaction_gone();
  }
  void transaction_returned(TransactionNumber t) override {
    events.push_back({fmt::format("{} returned", t), {}});
    on_transaction_gone();
  }
  void dot_withheld(TransactionNumber t) override {
    events.push_back({fmt::format("{} withholds its dot", t), {}});
  }
  void session_opened() override { events.push_back({"opened", {}}); }
  void session_failed(const Verdict& v) override {
    events.push_back({"failed " + brief(v), std::string(v.text)});
  }
};

/// Content from a string, given out in pieces of at most `piece_bytes`.
struct StringBody final : Body {
  explicit StringBody(std::string content, size_t piece = SIZE_MAX)
      : octets(std::move(content)), piece_bytes(piece) {}
  size_t read(std::span<char> out) override {
    const size_t n = std::min({out.size(), octets.size() - at, piece_bytes});
    octets.copy(out.data(), n, at);
    at += n;
    return n;
  }
  std::string octets;
  size_t piece_bytes, at = 0;
};

}  // namespace sluice::engine::smtp
