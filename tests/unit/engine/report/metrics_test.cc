#include "engine/report/metrics.h"

#include <gmock/gmock.h>

namespace sluice::engine::report {
namespace {

using testing::HasSubstr;

std::array<uint32_t, smtp::stage_count> phases(smtp::Stage stage, uint32_t us) {
  std::array<uint32_t, smtp::stage_count> out{};
  out[static_cast<size_t>(stage)] = us;
  return out;
}

TEST(Histogram, counts_what_is_as_long_as_a_bound_below_it) {
  Histogram<phase_bounds_us> histogram;
  for (const uint64_t us : {0, 1'000, 1'001, 600'000'000, 600'000'001}) histogram.observe(us);
  EXPECT_EQ(histogram.count(0), 2u);
  EXPECT_EQ(histogram.count(1), 1u);
  EXPECT_EQ(histogram.count(phase_bounds_us.size() - 1), 1u);
  EXPECT_EQ(histogram.count(phase_bounds_us.size()), 1u);
  EXPECT_EQ(histogram.sum_us(), 1'200'002'002u);
}

TEST(ShardCounters, does_not_count_a_phase_without_a_wait) {
  Counters counters(1);
  counters.shards[0].observe_phases(phases(smtp::Stage::mail, 5));
  uint64_t all = 0;
  for (const auto& phase : counters.shards[0].phases)
    for (size_t i = 0; i < phase.buckets; ++i) all += phase.count(i);
  EXPECT_EQ(all, 1u);
}

TEST(Metrics, sums_the_shards) {
  Counters counters(3);
  counters.shards[0].delivered.add(2);
  counters.shards[2].delivered.add(40);
  counters.shards[1].delivery.observe(20'000);
  counters.shards[2].delivery.observe(2'000'000);
  for (const size_t shard : {0, 1}) counters.shards[shard].dkim_signatures[1].add(3);
  counters.shards[1].dkim_signing_ns.add(1'500'000);
  counters.engine.accepted.add(77);
  counters.engine.held.set(5);
  for (const size_t shard : {0, 2})
    counters.shards[shard]
        .tls[static_cast<size_t>(TlsPolicyType::sts)]
            [static_cast<size_t>(TlsResult::sts_webpki_invalid)]
        .add();
  const std::string text = metrics_text(counters, true);
  for (const char* line :
       {"\nsluice_recipients_fates_total{fate=\"delivered\"} 42\n",
        "\nsluice_recipients_accepted_total 77\n", "\nsluice_recipients_held 5\n",
        "\nsluice_tls_connections_total{policy=\"sts\",result=\"sts-webpki-invalid\"} 2\n",
        "\nsluice_dkim_signatures_total{algorithm=\"rsa-sha256\"} 0\n",
        "\nsluice_dkim_signatures_total{algorithm=\"ed25519-sha256\"} 6\n",
        "\nsluice_dkim_signing_seconds_total 0.0015\n", "\nsluice_ready 1\n",
        "\nsluice_delivery_duration_seconds_count 2\n",
        "\nsluice_delivery_duration_seconds_sum 2.02\n",
        "\nsluice_delivery_duration_seconds_bucket{le=\"0.03\"} 1\n",
        "\nsluice_delivery_duration_seconds_bucket{le=\"+Inf\"} 2\n"})
    EXPECT_THAT("\n" + text, HasSubstr(line));
  EXPECT_THAT(metrics_text(counters, false), HasSubstr("\nsluice_ready 0\n"));
}

TEST(Metrics, tells_phases_in_seconds) {
  Counters counters(1);
  counters.shards[0].observe_phases(phases(smtp::Stage::final_dot, 250'000));
  const std::string text = metrics_text(counters, true);
  EXPECT_THAT(
      text, HasSubstr("sluice_phase_duration_seconds_bucket{phase=\"final_dot\",le=\"0.1\"} 0\n"));
  EXPECT_THAT(
      text, HasSubstr("sluice_phase_duration_seconds_bucket{phase=\"final_dot\",le=\"0.3\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_phase_duration_seconds_sum{phase=\"final_dot\"} 0.25\n"));
}

}  // namespace
}  // namespace sluice::engine::report
