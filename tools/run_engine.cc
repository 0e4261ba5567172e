#include "tools/run_engine.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sysexits.h>

#include <algorithm>

#include "engine/http/server.h"
#include "engine/http/site.h"
#include "engine/report/readiness.h"
#include "io/service_manager.h"
#include "tools/progress.h"

namespace sluice::tools {

namespace {

/// Hears of the engine and tells the person at the terminal, or the daemon's log.
class Narrator final : public engine::Coordinator::Observer {
 public:
  explicit Narrator(const RunOptions& options)
      : options_(options), progress_(options.quiet || !options.progress) {
    timer_.bind<&Narrator::tick>(this);
  }

  void watch(engine::Engine& engine) {
    engine_ = &engine;
    began_ = engine.loop().now();
    arm();
  }
  const engine::report::Readiness& readiness() const { return readiness_; }
  void stop_watching() { engine_->loop().timers().cancel(timer_); }

  RunResult result() {
    measure();
    progress_.clear();
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return {.totals = engine_->coordinator().totals(),
            .summary = summary_,
            .seconds = std::chrono::duration<double>(
                           std::max(began_, engine_->coordinator().totals().last_fate) - began_)
                           .count(),
            .spool_bytes_max = spool_bytes_max_,
            .memory_bytes_max = static_cast<uint64_t>(usage.ru_maxrss) * 1024,
            .campaigns_refused = engine_->coordinator().refused(),
            .was_interrupted = engine_->was_interrupted()};
  }

 private:
  void campaign_accepted(const spool::CampaignInfo& info, uint32_t recipients) override {
    spool_bytes_max_ = std::max(spool_bytes_max_, engine_->coordinator().spool_bytes());
    if (!options_.quiet && !options_.progress)
      say(fmt::format("campaign {}: {} recipients", info.id, grouped(recipients)));
  }

  void campaign_finished(const spool::CampaignInfo& info,
                         const spool::CampaignSummary& summary) override {
    measure();
    if (info.id == options_.campaign) summary_ = summary;
    if (options_.quiet || options_.progress) return;
    say(fmt::format("campaign {}: finished: {} delivered, {} failed, {} expired", info.id,
                    grouped(summary.delivered), grouped(summary.failed + summary.unreadable),
                    grouped(summary.expired)));
  }

  void campaign_refused(const std::string& message) override { say(message); }
  void spool_damaged(const std::string& message) override { say(message); }
  void rule_unreadable(const std::string& message) override { say(message); }

  void reloading() override { io::tell_service_manager_of_reload(); }

  void reloaded(const std::vector<std::string>& mistakes) override {
    for (const std::string& mistake : mistakes) say(mistake);
    if (!mistakes.empty())
      say("the configuration is not reloaded: nothing has changed");
    else if (!options_.quiet)
      say("the configuration is reloaded");
    io::tell_service_manager("READY=1");
  }

  void trouble(const std::string& message) override { say(message); }

  void tls_report(const std::string& message) override {
    if (!options_.quiet && !options_.progress) say(message);
  }

  void stopping() override {
    readiness_.set_stopping();
    io::tell_service_manager("STOPPING=1");
  }

  void storage_changed(const std::string& problem) override {
    readiness_.set_storage_problem(problem);
    say(problem.empty() ? "storage works again: deliveries go on"
                        : fmt::format("deliveries pause: {}", problem));
  }

  void say(const std::string& message) {
    progress_.clear();
    fmt::print(stderr, "sluice: {}\n", message);
    std::fflush(stderr);
  }

  void arm() { engine_->loop().timers().arm(timer_, engine_->loop().now() + progress_.interval()); }

  void tick() {
    measure();
    progress_.update(engine_->coordinator().totals(), engine_->loop().now());
    arm();
  }

  void measure() {
    spool_bytes_max_ = std::max(spool_bytes_max_, engine_->coordinator().spool_bytes());
  }

  const RunOptions options_;
  Progress progress_;
  engine::report::Readiness readiness_;
  engine::Engine* engine_ = nullptr;
  io::Timer timer_;
  std::optional<spool::CampaignSummary> summary_;
  io::Instant began_{};
  uint64_t spool_bytes_max_ = 0;
};

/// The HTTP interface of an engine.
class HttpInterface {
 public:
  /// Nothing is served when the configuration names no address.
  static std::expected<std::unique_ptr<HttpInterface>, engine::EngineError> open(
      const engine::Config& config, const engine::Engine& engine,
      const engine::report::Readiness& readiness) {
    if (config.admin_address.empty()) return nullptr;
    std::optional<engine::http::Token> token;
    if (!config.admin_token_file.empty()) {
      auto loaded = engine::http::Token::load(config.admin_token_file);
      if (!loaded)
        return std::unexpected(
            engine::EngineError{EX_CONFIG, "admin.token_file: " + loaded.error()});
      token = *std::move(loaded);
    }
    std::unique_ptr<HttpInterface> opened(
        new HttpInterface({engine.config(), engine.counters(), readiness}, std::move(token)));
    auto server = engine::http::Server::start(
        config.admin_address, [site = &opened->site_](const engine::http::Request& request) {
          return site->begin(request);
        });
    if (!server)
      return std::unexpected(
          engine::EngineError{EX_UNAVAILABLE, "admin.address: " + server.error()});
    opened->server_ = *std::move(server);
    return opened;
  }

 private:
  HttpInterface(const engine::http::Site::Engine& engine, std::optional<engine::http::Token> token)
      : site_(engine, std::move(token)) {}

  engine::http::Site site_;
  std::unique_ptr<engine::http::Server> server_;
};

}  // namespace

std::expected<RunResult, engine::EngineError> run_engine(const engine::Config& config,
                                                         const RunOptions& options) {
  Narrator narrator(options);
  auto engine = engine::Engine::create(
      config,
      {.until_empty = options.until_empty, .listens = options.listens, .reread = options.reread},
      narrator);
  if (!engine) return std::unexpected(std::move(engine.error()));
  std::unique_ptr<HttpInterface> http;
  if (options.with_http) {
    auto opened = HttpInterface::open(config, **engine, narrator.readiness());
    if (!opened) return std::unexpected(std::move(opened.error()));
    http = *std::move(opened);
  }
  narrator.watch(**engine);
  io::tell_service_manager("READY=1");
  (*engine)->run();
  narrator.stop_watching();
  return narrator.result();
}

}  // namespace sluice::tools
