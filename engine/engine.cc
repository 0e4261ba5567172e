#include "engine/engine.h"

#include <csignal>
#include <cstring>

#include "engine/dns/resolv_conf.h"
#include "engine/reload.h"
#include "io/signal_mask.h"

namespace sluice::engine {

int exit_code(spool::ErrorCode code) {
  using enum spool::ErrorCode;
  switch (code) {
    case io:            return EX_IOERR;
    case no_space:      return EX_CANTCREAT;
    case not_allowed:   return EX_NOPERM;
    case locked:        return EX_TEMPFAIL;
    case newer_version: return EX_DATAERR;
    case damaged:       return EX_DATAERR;
    case missing:       return EX_NOINPUT;
  }
  return EX_SOFTWARE;
}

namespace {

/// What we listen on: an MX that leads there is a loop.
std::vector<io::SocketAddress> own_addresses(const Config& config) {
  std::vector<io::SocketAddress> own;
  for (const ListenPolicy& listen : config.listen)
    if (const auto address = io::SocketAddress::parse(listen.address)) own.push_back(*address);
  return own;
}

}  // namespace

std::expected<std::unique_ptr<Engine>, EngineError> Engine::create(
    const Config& config, const Options& options, Coordinator::Observer& observer) {
  const unsigned shards =
      config.shards != 0 ? config.shards : std::max(1u, std::thread::hardware_concurrency());
  std::unique_ptr<Engine> engine(new Engine(config, options, shards, observer));
  if (auto opened = engine->open(); !opened) return std::unexpected(std::move(opened.error()));
  return engine;
}

Engine::Engine(const Config& config, const Options& options, unsigned shards,
               Coordinator::Observer& observer)
    : config_(config),
      current_(config),
      options_(options),
      observer_(observer),
      dns_servers_(config.dns_servers.empty() ? dns::system_servers() : config.dns_servers),
      mesh_(shards),
      counters_(shards),
      failures_(shards),
      opened_(shards - 1),
      begin_(1),
      end_(1) {
  signals_.numbers = {SIGINT, SIGTERM, SIGUSR1};
  if (options_.reread) signals_.numbers.push_back(SIGHUP);
  signals_.bind<&Engine::signalled>(this);
}

Engine::~Engine() {
  if (!begun_) begin_.count_down();
  if (errands_) errands_->stop(*proactor_);
  if (policies_) policies_->stop(*proactor_);
  if (reporter_) reporter_->stop(*proactor_);
  end_.count_down();
}

Shard::Setup Engine::setup(unsigned index, uint64_t journal_sequence) {
  return {.index = index,
          .counters = counters_,
          .hostname = config_.hostname,
          .spool = config_.spool,
          .log = config_.log,
          .journal_sequence = journal_sequence,
          .socket_slots = io::socket_slots(options_.uring),
          .in_doubt = config_.in_doubt,
          .dns = dns(),
          .keys = keys_,
          .notices = {.spool = config_.spool,
                      .hostname = config_.hostname,
                      .postmaster = config_.postmaster,
                      .notices = config_.notices},
          .listens = options_.listens,
          .listen = listeners_,
          .errands = errands_.get(),
          .policies = policies_.get(),
          .reporter = reporter_.get()};
}

dns::HostFinder::Options Engine::dns() const {
  return {.servers = dns_servers_,
          .trust = config_.dnssec,
          .hostname = config_.hostname,
          .own_addresses = own_addresses(config_)};
}

std::expected<void, EngineError> Engine::start_reporter() {
  const auto& [from, organization, contact] = config_.tls_report;
  if (from.empty()) return {};
  tlsrpt::Submitter submitter{.organization = organization,
                              .contact = contact.empty() ? from : contact,
                              .from = from,
                              .hostname = config_.hostname};
  if (organization.empty()) submitter.organization = submitter.domain();
  reporter_ = std::make_unique<tlsrpt::Reporter>(
      mesh_.shards(),
      tlsrpt::Clerk::Options{.spool = config_.spool,
                             .submitter = std::move(submitter),
                             .dns = dns(),
                             .authorities =
                                 [this](const std::string& domain) {
                                   return current_.get().destination(domain).security.authorities();
                                 },
                             .counters = counters_.tls_reports});
  if (auto started = reporter_->start(); !started)
    return std::unexpected(EngineError{EX_UNAVAILABLE, started.error()});
  return {};
}

std::expected<void, EngineError> Engine::open() {
  io::block_signals({SIGINT, SIGTERM, SIGUSR1});
  if (options_.reread) io::block_signals({SIGHUP});
  auto protections = Protections::load(config_, {});
  if (!protections) return std::unexpected(EngineError{EX_CONFIG, protections.error().text()});
  auto keys = dkim::Keyring::load(config_.dkim);
  if (!keys) return std::unexpected(EngineError{EX_CONFIG, keys.error()});
  keys_ = *std::move(keys);
  auto ring = io::open_uring(options_.uring);
  if (!ring) return std::unexpected(EngineError{EX_UNAVAILABLE, ring.error().message});
  proactor_ = std::move(*ring);
  loop_ = std::make_unique<io::EventLoop>(*proactor_);
  auto spool = spool::Spool::open(*loop_, config_.spool);
  if (!spool)
    return std::unexpected(EngineError{exit_code(spool.error().code), spool.error().message});
  spool_ = std::move(*spool);
  if (options_.listens) {
    auto listeners = read_listeners(config_);
    if (!listeners) return std::unexpected(EngineError{EX_CONFIG, listeners.error()});
    listeners_ = *std::move(listeners);
    errands_ = std::make_unique<intake::Errands>(mesh_.shards(), config_.spool);
    if (auto started = errands_->start(); !started)
      return std::unexpected(EngineError{EX_UNAVAILABLE, started.error()});
  }
  policies_ = std::make_unique<sts::PolicyKeeper>(mesh_.shards(), config_.spool);
  if (auto started = policies_->start(); !started)
    return std::unexpected(EngineError{EX_UNAVAILABLE, started.error()});
  if (auto started = start_reporter(); !started) return started;
  spool::Recovered& recovered = spool_->recovered();
  Shard::Setup first = setup(0, recovered.next_sequence);
  first.sealed = std::move(recovered.segments);
  shard_ = std::make_unique<Shard>(*loop_, mesh_, first);
  if (auto opened = shard_->open(std::move(first)); !opened)
    return std::unexpected(EngineError{EX_CANTCREAT, opened.error()});
  for (unsigned i = 1; i < mesh_.shards(); ++i)
    threads_.emplace_back(
        [this, i, sequence = recovered.next_sequence] { run_shard(i, sequence); });
  opened_.wait();
  for (const std::string& failure : failures_)
    if (!failure.empty()) return std::unexpected(EngineError{EX_UNAVAILABLE, failure});
  coordinator_ = std::make_unique<Coordinator>(*shard_, mesh_, *spool_, config_, *protections,
                                               options_.until_empty, observer_);
  return {};
}

std::expected<intake::SmtpListeners, std::string> Engine::read_listeners(const Config& config) {
  intake::SmtpListeners listeners;
  for (const ListenPolicy& policy : config.listen) {
    auto listener = intake::SmtpListener::open(policy, config);
    if (!listener) return std::unexpected(std::move(listener.error()));
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

void Engine::run_shard(unsigned index, uint64_t journal_sequence) {
  auto ring = io::open_uring(options_.uring);
  if (!ring) {
    failures_[index] = ring.error().message;
    opened_.count_down();
    return;
  }
  io::EventLoop loop(**ring);
  Shard::Setup own = setup(index, journal_sequence);
  Shard shard(loop, mesh_, own);
  if (auto opened = shard.open(std::move(own)); !opened) failures_[index] = opened.error();
  opened_.count_down();
  begin_.wait();
  if (begun_) loop.run();
  end_.wait();  // another shard may still wake this ring
}

/// What this machine lacks; what needs it waits.
void Engine::warn() {
  for (const ConfigError& warning : current_.get().warnings) observer_.trouble(warning.text);
}

void Engine::run() {
  begun_ = true;
  warn();
  begin_.count_down();
  coordinator_->start();
  // A signal that came meanwhile waits: while it starts, it waits for files, and is not to be
  // stopped.
  proactor_->submit(signals_);
  loop_->run();
  proactor_->cancel(signals_);
  // A campaign may be finishing, which the coordinator is told of.
  while (signals_.in_flight || spool_->is_in_flight()) loop_->turn();
}

void Engine::reload() {
  observer_.reloading();
  auto next = options_.reread();
  std::vector<std::string> mistakes =
      next ? obstacles_to_reload(current_.get(), *next) : std::move(next.error());
  std::expected<intake::SmtpListeners, std::string> listeners;
  if (mistakes.empty()) listeners = read_listeners(*next);
  if (!listeners) mistakes.push_back(std::move(listeners.error()));
  std::expected<Protections, ProtectionError> protections;
  if (mistakes.empty()) protections = Protections::load(*next, coordinator_->protections());
  if (!protections) mistakes.push_back(protections.error().text());
  std::expected<dkim::KeyringPtr, std::string> keys;
  if (mistakes.empty()) keys = dkim::Keyring::load(next->dkim);
  if (!keys) mistakes.push_back(std::move(keys.error()));
  if (mistakes.empty()) {
    current_.set(*std::move(next));
    coordinator_->reload(current_.get(), *std::move(protections), *std::move(listeners), *keys);
  }
  observer_.reloaded(mistakes);
  if (mistakes.empty()) warn();
}

void Engine::signalled(io::Signals&, const io::Completion& completion) {
  if (completion.result == SIGHUP) return reload();
  if (completion.result == SIGUSR1) return coordinator_->reopen_logs();
  if (completion.result < 0) return;
  interrupted_ = true;
  coordinator_->stop();
}

}  // namespace sluice::engine
