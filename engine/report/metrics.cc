#include "engine/report/metrics.h"

#include <dirent.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::engine::report {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double us_per_s = 1e6, ns_per_s = 1e9;

using Labels = std::vector<ClientMetric::Label>;

/// The families of one answer.
class Page {
 public:
  explicit Page(const Counters& counters) : counters_(counters) {}

  void family(MetricType type, std::string name, std::string help) {
    families_.push_back(
        {.name = std::move(name), .help = std::move(help), .type = type, .metric = {}});
  }
  /// A value of the last family.
  void value(double number, Labels labels = {}) {
    ClientMetric& metric = add(std::move(labels));
    if (families_.back().type == MetricType::Counter)
      metric.counter.value = number;
    else
      metric.gauge.value = number;
  }
  void counter(std::string name, std::string help, double number) {
    family(MetricType::Counter, std::move(name), std::move(help));
    value(number);
  }
  void gauge(std::string name, std::string help, double number) {
    family(MetricType::Gauge, std::move(name), std::move(help));
    value(number);
  }

  /// Of what std::invoke(of, shard) gives.
  double sum(auto of) const {
    uint64_t sum = 0;
    for (const ShardCounters& shard : counters_.shards) sum += std::invoke(of, shard).value();
    return static_cast<double>(sum);
  }
  /// Of the histograms that `of(shard)` gives, together.
  template <const auto& bounds_us>
  void histogram(auto&& of, Labels labels = {}) {
    ClientMetric::Histogram& out = add(std::move(labels)).histogram;
    for (size_t bucket = 0; bucket <= bounds_us.size(); ++bucket) {
      for (const ShardCounters& shard : counters_.shards)
        out.sample_count += of(shard).count(bucket);
      const double bound = bucket < bounds_us.size()
                               ? static_cast<double>(bounds_us[bucket]) / us_per_s
                               : std::numeric_limits<double>::infinity();
      out.bucket.push_back({.cumulative_count = out.sample_count, .upper_bound = bound});
    }
    uint64_t sum_us = 0;
    for (const ShardCounters& shard : counters_.shards) sum_us += of(shard).sum_us();
    out.sample_sum = static_cast<double>(sum_us) / us_per_s;
  }

  std::string text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  ClientMetric& add(Labels labels) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  const Counters& counters_;
  std::vector<MetricFamily> families_;
};

void put_engine(Page& page, const EngineCounters& engine, bool is_ready) {
  const auto number = [](const Counter& counter) { return static_cast<double>(counter.value()); };
  page.counter("sluice_recipients_accepted_total", "Recipients taken from the spool.",
               number(engine.accepted));
  page.gauge("sluice_campaigns", "Campaigns that are not finished.", number(engine.campaigns));
  page.gauge("sluice_recipients_waiting", "Recipients without a fate.", number(engine.waiting));
  page.gauge("sluice_recipients_deferred", "Recipients that wait for another attempt.",
             number(engine.deferred));
  page.gauge("sluice_recipients_held", "Recipients that wait for somebody to release them.",
             number(engine.held));
  page.gauge("sluice_sessions", "Sessions with receiving servers, connecting ones included.",
             number(engine.sessions));
  page.gauge("sluice_spool_campaign_bytes", "Size of the unfinished campaigns' files.",
             number(engine.spool_bytes));
  page.gauge("sluice_ready", "1 while mail can be accepted and delivered, else 0.",
             is_ready ? 1 : 0);
}

void put_shards(Page& page) {
  page.family(MetricType::Counter, "sluice_recipients_fates_total",
              "Recipients whose fate is durable, by fate.");
  for (const auto& [fate, member] : {std::pair{"delivered", &ShardCounters::delivered},
                                     {"failed", &ShardCounters::failed},
                                     {"expired", &ShardCounters::expired},
                                     {"cancelled", &ShardCounters::cancelled},
                                     {"in_doubt", &ShardCounters::in_doubt},
                                     {"unreadable", &ShardCounters::unreadable}})
    page.value(page.sum(member), {{"fate", fate}});
  page.counter("sluice_deferrals_total", "Attempts that failed for now.",
               page.sum(&ShardCounters::deferrals));
  page.family(
      MetricType::Counter, "sluice_deferral_reasons_total",
      "Deferrals told in the log, by phase and by the reply's code (other; none: no reply).");
  for (size_t i = 0; i < smtp::stage_count; ++i)
    for (size_t reason = 0; reason < deferral_codes.size() + 2; ++reason) {
      const double sum = page.sum(
          [=](const ShardCounters& shard) -> auto& { return shard.deferral_reasons[i][reason]; });
      if (sum == 0) continue;  // a line for each would be many that never change
      const std::string code = reason < deferral_codes.size()
                                   ? std::to_string(deferral_codes[reason])
                               : reason == deferral_codes.size() ? "other"
                                                                 : "none";
      page.value(sum,
                 {{"phase", std::string(smtp::name(static_cast<smtp::Stage>(i)))}, {"code", code}});
    }
  page.family(MetricType::Counter, "sluice_sessions_total",
              "Sessions with receiving servers: opened, or failed at every host.");
  page.value(page.sum(&ShardCounters::sessions_opened), {{"result", "opened"}});
  page.value(page.sum(&ShardCounters::sessions_failed), {{"result", "failed"}});

  page.family(MetricType::Counter, "sluice_tls_connections_total",
              "Connections on which TLS was tried or demanded, by the host's policy and what came "
              "of it (the words of RFC 8460).");
  for (size_t policy = 0; policy < tls_policy_types; ++policy)
    for (size_t result = 0; result < tls_results; ++result) {
      const double sum =
          page.sum([=](const ShardCounters& shard) -> auto& { return shard.tls[policy][result]; });
      if (sum == 0) continue;
      page.value(sum, {{"policy", std::string(name(static_cast<TlsPolicyType>(policy)))},
                       {"result", std::string(name(static_cast<TlsResult>(result)))}});
    }

  page.family(MetricType::Counter, "sluice_dkim_signatures_total",
              "DKIM signatures made, by algorithm.");
  for (size_t i = 0; i < dkim::algorithms; ++i)
    page.value(
        page.sum([i](const ShardCounters& shard) -> auto& { return shard.dkim_signatures[i]; }),
        {{"algorithm", std::string(dkim::name(static_cast<dkim::Algorithm>(i)))}});
  page.counter("sluice_dkim_signing_seconds_total",
               "Time that signing took, with all that was read and hashed for it.",
               page.sum(&ShardCounters::dkim_signing_ns) / ns_per_s);

  page.family(MetricType::Histogram, "sluice_phase_duration_seconds",
              "Waits within a phase of a session, by phase.");
  for (size_t i = 0; i < smtp::stage_count; ++i) {
    const auto stage = static_cast<smtp::Stage>(i);
    if (stage == smtp::Stage::dns || stage == smtp::Stage::idle) continue;
    page.histogram<phase_bounds_us>(
        [i](const ShardCounters& shard) -> const auto& { return shard.phases[i]; },
        {{"phase", std::string(smtp::name(stage))}});
  }
  page.family(MetricType::Histogram, "sluice_delivery_duration_seconds",
              "From the acceptance of a recipient to its delivery.");
  page.histogram<delivery_bounds_us>(
      [](const ShardCounters& shard) -> const auto& { return shard.delivery; });
}

double resident_bytes() {
  const std::unique_ptr<std::FILE, decltype([](std::FILE* f) { std::fclose(f); })> file(
      std::fopen("/proc/self/statm", "re"));
  unsigned long size = 0, resident = 0;
  if (!file || std::fscanf(file.get(), "%lu %lu", &size, &resident) != 2) return 0;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
  const std::unique_ptr<DIR, decltype([](DIR* d) { closedir(d); })> folder(
      opendir("/proc/self/fd"));
  double count = 0;
  while (folder && readdir(folder.get()) != nullptr) ++count;
  return count - 3;  // the folder, its parent, and what we read it through
}

void put_tls_reports(Page& page, const TlsReportCounters& reports) {
  const auto number = [](const Counter& counter) { return static_cast<double>(counter.value()); };
  page.family(MetricType::Counter, "sluice_tls_reports_total",
              "Places that were sent a TLS report, by how it went; and reports given up.");
  page.value(number(reports.queued), {{"result", "queued"}});
  page.value(number(reports.posted), {{"result", "posted"}});
  page.value(number(reports.failed), {{"result", "failed"}});
  page.counter("sluice_tls_report_outcomes_lost_total",
               "Connections that no TLS report counts, for want of room.",
               number(reports.outcomes_lost) + page.sum(&ShardCounters::tls_outcomes_lost));
  page.gauge("sluice_tls_report_domains", "Domains that TLS is counted for today.",
             number(reports.domains));
}

void put_process(Page& page) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / us_per_s;
  };
  page.counter("process_cpu_seconds_total", "Processor time taken.",
               seconds(usage.ru_utime) + seconds(usage.ru_stime));
  page.gauge("process_resident_memory_bytes", "Memory resident.", resident_bytes());
  page.gauge("process_open_fds",
             "Open file descriptors; the sockets of sessions are not among them.",
             open_descriptors());
}

}  // namespace

std::string metrics_text(const Counters& counters, bool is_ready) {
  Page page(counters);
  put_engine(page, counters.engine, is_ready);
  put_shards(page);
  put_tls_reports(page, counters.tls_reports);
  put_process(page);
  return page.text();
}

}  // namespace sluice::engine::report
