#include "tools/deliver.h"

#include <fmt/format.h>
#include <sysexits.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/progress.h"
#include "tools/run_engine.h"

namespace sluice::tools {

namespace {

constexpr int some_failed = 1;  // the contract's: for good, all others delivered

struct Counts {
  uint64_t recipients, delivered, failed, expired, waiting, deferred, held;
};

Counts counts_of(const engine::intake::Receipt& receipt, const RunResult& result) {
  if (result.summary) {
    const spool::CampaignSummary& s = *result.summary;
    return {s.recipients, s.delivered, s.failed + s.unreadable + s.cancelled, s.expired, 0, 0, 0};
  }
  if (result.totals.recipients == 0) return {receipt.recipients, 0, 0, 0, receipt.recipients, 0, 0};
  const engine::Totals& t = result.totals;
  return {t.recipients,
          t.delivered,
          t.failed + t.unreadable + t.cancelled,
          t.expired,
          t.recipients - t.fates(),
          t.deferred,
          t.held};
}

double rate_per_s(const Counts& counts, const RunResult& result) {
  return result.seconds > 0 ? static_cast<double>(counts.delivered) / result.seconds : 0;
}

void print_json(const engine::intake::Receipt& receipt, const Counts& counts,
                const RunResult& result) {
  const nlohmann::ordered_json out = {{"campaign", receipt.campaign},
                                      {"known_before", receipt.was_known},
                                      {"recipients", counts.recipients},
                                      {"duplicates", receipt.duplicates},
                                      {"suppressed", receipt.suppressed},
                                      {"rejected", receipt.rejected},
                                      {"delivered", counts.delivered},
                                      {"failed", counts.failed},
                                      {"expired", counts.expired},
                                      {"waiting", counts.waiting},
                                      {"deferred", counts.deferred},
                                      {"held", counts.held},
                                      {"seconds", result.seconds},
                                      {"messages_per_second", rate_per_s(counts, result)},
                                      {"spool_bytes", result.spool_bytes_max},
                                      {"memory_bytes", result.memory_bytes_max},
                                      {"interrupted", result.was_interrupted}};
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_table(const engine::Config& config, const Counts& counts, const RunResult& result) {
  fmt::print("delivered   {:>12}\n", grouped(counts.delivered));
  fmt::print("failed      {:>12}\n", grouped(counts.failed + counts.expired));
  if (counts.waiting > 0) fmt::print("waiting     {:>12}\n", grouped(counts.waiting));
  fmt::print("seconds     {:>12.2f}\n", result.seconds);
  fmt::print("messages/s  {:>12}\n", grouped(static_cast<uint64_t>(rate_per_s(counts, result))));
  fmt::print("spool       {:>12}\n", bytes_text(result.spool_bytes_max));
  fmt::print("peak memory {:>12}\n", bytes_text(result.memory_bytes_max));
  if (counts.failed + counts.expired > 0)
    fmt::print("why: sluice log --event failed in {}\n", config.log);
  if (counts.held > 0) fmt::print("{}\n", held_text(counts.held, config.spool));
  if (counts.waiting > counts.held)
    fmt::print("the rest stays in {}: sluice serve --spool {} --until-empty goes on\n",
               config.spool, config.spool);
}

}  // namespace

int deliver(const DeliverOptions& options) {
  auto run = run_engine(options.config, {.until_empty = true,
                                         .quiet = options.quiet,
                                         .progress = true,
                                         .campaign = options.receipt.campaign});
  if (!run) {
    fmt::print(
        stderr,
        "sluice send: campaign {} is in the spool {}, but cannot be delivered from here: {}\n",
        options.receipt.campaign, options.config.spool, run.error().message);
    return run.error().exit_code;
  }
  if (options.receipt.was_known && run->totals.recipients == 0) {
    if (options.json) print_json(options.receipt, {}, *run);
    return EX_OK;  // sent, all of it, by an earlier run
  }
  const Counts counts = counts_of(options.receipt, *run);
  if (options.json)
    print_json(options.receipt, counts, *run);
  else
    print_table(options.config, counts, *run);
  if (run->campaigns_refused > 0 && counts.waiting > 0) return EX_CONFIG;
  if (counts.waiting > 0) return EX_TEMPFAIL;
  return counts.failed + counts.expired > 0 ? some_failed : EX_OK;
}

}  // namespace sluice::tools
