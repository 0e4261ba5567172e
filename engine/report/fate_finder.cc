#include "engine/report/fate_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "engine/report/entry_reader.h"
#include "engine/report/log_files.h"
#include "engine/report/log_record.h"
#include "engine/report/spool_view.h"
#include "engine/report/time_text.h"
#include "spool/campaign_finder.h"

namespace sluice::engine::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 5> fates = {"delivered", "failed", "expired", "cancelled",
                                                   "in_doubt"};

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string_view state_text(WaitState state) {
  return state == WaitState::in_doubt ? "in_doubt" : name(state);
}

Json event_of(const LogRecord& record) {
  Json out = {{"time", record.time}, {"event", record.event}};
  const auto text = [&](const char* key, const std::string& value) {
    if (!value.empty()) out[key] = value;
  };
  if (record.attempt > 0) out["attempt"] = record.attempt;
  text("phase", record.phase);
  text("host", record.host);
  text("remote", record.remote);
  if (record.code > 0) out["code"] = record.code;
  text("enhanced", record.enhanced);
  text("text", record.text);
  text("reason", record.reason);
  return out;
}

bool is_fate(const LogRecord& record) {
  return std::ranges::find(fates, record.event) != fates.end();
}

Json waiting_campaign(const WaitingMail& mail) {
  const spool::CampaignInfo& info = mail.campaign().info();
  const spool::Progress& progress = mail.progress();
  std::array<uint64_t, 5> by_state{};
  mail.visit({0, mail.campaign().recipients()}, [&](const Waiting& waiting, size_t) {
    ++by_state[static_cast<size_t>(waiting.state)];
  });
  const auto count = [&](WaitState state) { return by_state[static_cast<size_t>(state)]; };
  return {{"campaign", info.id},
          {"uid", fmt::format("{:016x}", info.uid)},
          {"state", "waiting"},
          {"accepted", time_text(info.accepted_at)},
          {"recipients", mail.campaign().recipients()},
          {"delivered", progress.delivered},
          {"failed", progress.failed},
          {"expired", progress.expired},
          {"cancelled", progress.cancelled + count(WaitState::cancelled)},
          {"in_doubt", progress.in_doubt + count(WaitState::in_doubt)},
          {"waiting", count(WaitState::waiting)},
          {"deferred", count(WaitState::deferred)},
          {"held", count(WaitState::held)}};
}

}  // namespace

/// What the log had to say.
struct FateFinder::Seen {
  std::optional<LogRecord> accepted, last;  // of the campaign; of the recipient
  bool has_fate = false;
  std::array<uint64_t, fates.size()> counts{};  // of a campaign's recipients, by fate
};

std::expected<std::optional<std::string>, std::string> FateFinder::find(const std::string& id) {
  const auto stretch = queue::parse_stretch(id);
  if (stretch && stretch->first == stretch->last) return of_recipient(id, *stretch);
  return of_campaign(id, stretch ? stretch->uid : 0);
}

std::expected<std::optional<std::string>, std::string> FateFinder::of_recipient(
    const std::string& id, const queue::Rule::Stretch& stretch) {
  const auto view = SpoolView::open(proactor_, config_);
  if (!view) return std::unexpected(view.error().message);
  Json out = {{"id", id}};
  bool waits = false;
  for (const WaitingMail& mail : (*view)->mails()) {
    if (mail.campaign().info().uid != stretch.uid) continue;
    const auto waiting = mail.find(stretch.first);
    if (!waiting) continue;
    waits = true;
    out["campaign"] = mail.campaign().info().id;
    visit_entries(proactor_, mail, {waiting->number, 1},
                  [&](const Held& held) { out["recipient"] = held.recipient.address; });
    out["state"] = state_text(waiting->state);
    out["attempts"] = waiting->attempts;
    if (waiting->next_attempt) out["next_attempt"] = time_text(*waiting->next_attempt);
    out["expires"] = time_text(mail.expires(waiting->number, mail.group_of(waiting->number)));
  }
  Seen seen;
  if (auto read = read_log(id, false, seen); !read && !waits) return std::unexpected(read.error());
  if (!waits) {
    if (!seen.last || !seen.has_fate) return std::nullopt;
    out["campaign"] = seen.last->campaign;
    out["recipient"] = seen.last->recipient;
    out["state"] = seen.last->event;
    out["attempts"] = seen.last->attempt;
  }
  if (seen.last) out["last_event"] = event_of(*seen.last);
  return text_of(out);
}

std::expected<std::optional<std::string>, std::string> FateFinder::of_campaign(
    const std::string& id, uint64_t uid) {
  if (auto finished = of_finished_campaign(id)) return finished;
  const auto view = SpoolView::open(proactor_, config_);
  if (!view) return std::unexpected(view.error().message);
  for (const WaitingMail& mail : (*view)->mails()) {
    const spool::CampaignInfo& info = mail.campaign().info();
    if (info.id == id || (uid != 0 && info.uid == uid)) return text_of(waiting_campaign(mail));
  }
  if (uid == 0) return std::nullopt;
  Seen seen;
  if (auto read = read_log(id, true, seen); !read) return std::unexpected(read.error());
  if (!seen.accepted) return std::nullopt;
  if (auto finished = of_finished_campaign(seen.accepted->campaign)) return finished;
  // Nothing was left behind: what the log counted.
  Json out = {{"campaign", seen.accepted->campaign},
              {"uid", id},
              {"state", "finished"},
              {"accepted", seen.accepted->time},
              {"recipients", seen.accepted->recipients}};
  for (size_t i = 0; i < fates.size(); ++i) out[std::string(fates[i])] = seen.counts[i];
  return text_of(out);
}

/// From the summary that it left.
std::optional<std::string> FateFinder::of_finished_campaign(const std::string& name) {
  const auto opened = spool::find_campaign(proactor_, config_.spool, name);
  if (!opened) return std::nullopt;
  if (opened->campaign) {
    io::CloseFile close;
    close.file = opened->campaign->file();
    io::run(proactor_, close);
    return std::nullopt;
  }
  const spool::CampaignSummary& summary = opened->summary;
  return text_of({{"campaign", opened->info.id},
                  {"uid", fmt::format("{:016x}", opened->info.uid)},
                  {"state", "finished"},
                  {"accepted", time_text(opened->info.accepted_at)},
                  {"recipients", summary.recipients},
                  {"delivered", summary.delivered},
                  {"failed", summary.failed + summary.unreadable},
                  {"expired", summary.expired},
                  {"cancelled", summary.cancelled},
                  {"in_doubt", summary.in_doubt}});
}

/// Lines of a recipient, or with `is_campaign` of the campaign and its recipients; the latest file
/// first, up to one that tells all.
std::expected<void, std::string> FateFinder::read_log(const std::string& id, bool is_campaign,
                                                      Seen& seen) {
  auto files = log_files(config_.log, "");
  if (!files) return std::unexpected(files.error());
  // Octets that a line of theirs holds, and another cannot.
  const std::string needle = "\"id\":\"" + id + (is_campaign ? "" : "\"");
  LogRecordReader reader;
  LogRecord record;
  const auto until = std::chrono::steady_clock::now() + log_time_max;
  std::ranges::reverse(*files);
  for (const std::string& path : *files) {
    if (std::chrono::steady_clock::now() > until) {
      was_cut_short_ = true;
      return {};
    }
    LineReader lines(path);
    lines.read([&](std::string_view line) {
      if (memmem(line.data(), line.size(), needle.data(), needle.size()) == nullptr) return;
      if (!reader.read(line, record)) return;
      if (record.event == "accepted") {
        if (record.id == id) seen.accepted = record;
      } else if (is_campaign) {
        const auto fate = std::ranges::find(fates, record.event);
        if (fate != fates.end()) ++seen.counts[static_cast<size_t>(fate - fates.begin())];
      } else {
        seen.last = record;
        seen.has_fate = is_fate(record);
      }
    });
    if (is_campaign ? seen.accepted.has_value() : seen.last.has_value()) return {};
  }
  return {};
}

}  // namespace sluice::engine::report
