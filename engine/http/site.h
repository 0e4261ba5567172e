#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/current_config.h"
#include "engine/http/message_post.h"
#include "engine/http/server.h"
#include "engine/http/token.h"
#include "engine/report/counters.h"
#include "engine/report/readiness.h"

namespace sluice::engine::http {

/// What the server answers: README.md has the paths and who may use them. Asked by the server's
/// threads, several at once; reads the engine's counters and the spool's files, and never waits for
/// a shard.
class Site {
 public:
  static constexpr size_t queue_rows_max = 1000;  // of /v1/queue

  /// What it tells of; borrowed.
  struct Engine {
    const CurrentConfig& config;
    const report::Counters& counters;
    const report::Readiness& readiness;
  };

  Site(const Engine& engine, std::optional<Token> token)
      : engine_(engine), token_(std::move(token)) {}
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  /// As a Handler.
  std::expected<std::unique_ptr<Exchange>, Response> begin(const Request& request);

 private:
  using Begun = std::expected<std::unique_ptr<Exchange>, Response>;

  bool has_token(const Request& request) const;
  std::optional<Response> refusal(const Request& request) const;
  Begun begin_post(const Request& request);
  Response health() const;
  Response readiness() const;
  Response metrics() const;
  Response queue();
  Response tls_reports();
  Response fate(const std::string& id);

  const Engine engine_;
  const std::optional<Token> token_;
  Room room_;
};

}  // namespace sluice::engine::http
