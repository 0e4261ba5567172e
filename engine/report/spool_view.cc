#include "engine/report/spool_view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "engine/mailing.h"
#include "spool/disk_error.h"
#include "spool/rule_files.h"

namespace sluice::engine::report {

namespace {

using queue::Rule;

/// Campaigns whose heads are read at a time.
constexpr unsigned openings_max = 64;
/// The engine may unlink segments, which it needs no more, while they are being read.
constexpr int journal_tries_max = 20;

std::unexpected<spool::Error> no_spool(const std::string& folder) {
  return std::unexpected(
      spool::Error{spool::ErrorCode::missing, ENOENT,
                   fmt::format("{}: no spool is there; name its folder with --spool or "
                               "engine.spool",
                               folder)});
}

}  // namespace

std::string_view name(WaitState state) {
  switch (state) {
    case WaitState::waiting:   return "waiting";
    case WaitState::deferred:  return "deferred";
    case WaitState::held:      return "held";
    case WaitState::in_doubt:  return "in doubt";
    case WaitState::cancelled: return "cancelled";
  }
  return "";
}

WaitingMail::WaitingMail(std::shared_ptr<const spool::Campaign> campaign, CampaignMessage message,
                         mail::Template content, spool::Progress progress,
                         const std::vector<Rule>& rules, const Config& config, Routes& routes)
    : campaign_(std::move(campaign)),
      message_(std::move(message)),
      content_(std::move(content)),
      progress_(std::move(progress)),
      standing_(queue::standing(rules, *campaign_, config)) {
  for (const spool::Wait& wait : progress_.waits) {
    if (wait.recipient >= campaign_->recipients()) continue;
    const auto& group = campaign_->groups()[group_of(wait.recipient)];
    waits_[routes.key(group.name, message_.next_hop)].add(wait);
  }
  groups_.reserve(campaign_->groups().size());
  for (const spool::Group& group : campaign_->groups()) {
    Group& known = groups_.emplace_back();
    known.policy = &routes.policy(group.name, message_.next_hop);
    if (waits_.empty()) continue;
    const auto found = waits_.find(routes.key(group.name, message_.next_hop));
    if (found != waits_.end()) known.waits = &found->second;
  }
}

size_t WaitingMail::group_of(uint32_t number) const {
  const auto groups = campaign_->groups();
  const auto after = std::ranges::upper_bound(groups, number, {}, &spool::Group::first);
  return static_cast<size_t>(after - groups.begin()) - 1;
}

io::WallTime WaitingMail::expires(size_t group) const {
  const DestinationPolicy::Expire& expire = groups_[group].policy->expire;
  const io::WallTime accepted = campaign_->info().accepted_at;
  switch (message_.priority) {
    case Priority::urgent:     return accepted + expire.urgent;
    case Priority::normal:     return accepted + expire.normal;
    case Priority::non_urgent: return accepted + expire.non_urgent;
  }
  return accepted + expire.normal;
}

/// `at` goes on with `number`, which ascends from call to call.
bool WaitingMail::contains(const std::vector<Range>& ranges, size_t& at, uint32_t number) {
  while (at < ranges.size() && ranges[at].first + uint64_t{ranges[at].count} <= number) ++at;
  return at < ranges.size() && ranges[at].first <= number;
}

Waiting WaitingMail::describe(uint32_t number, size_t group, bool is_held,
                              bool is_cancelled) const {
  Waiting out{.number = number};
  const spool::Waits* const waits = groups_[group].waits;
  bool is_intent = false;
  const auto own = progress_.deferred.find(number);
  if (own != progress_.deferred.end()) {
    const spool::Deferral past = waits ? waits->caught_up(own->second) : own->second;
    out.state = WaitState::deferred;
    out.attempts = past.attempt;
    out.next_attempt = past.next_attempt;
    is_intent = past.is_intent && !standing_.is_released(number, past.next_attempt);
  } else if (waits && waits->attempts() > 0) {
    out.state = WaitState::deferred;
    out.is_shared = true;
    out.attempts = waits->attempts();
    out.next_attempt = waits->next_attempt();
  }
  if (is_intent) out.state = WaitState::in_doubt;
  if (is_held) out.state = WaitState::held;
  if (is_cancelled) out.state = WaitState::cancelled;
  if (out.state != WaitState::waiting && out.state != WaitState::deferred) out.next_attempt.reset();
  return out;
}

std::optional<Waiting> WaitingMail::find(uint32_t number) const {
  std::optional<Waiting> found;
  visit({number, 1}, [&](const Waiting& waiting, size_t) { found = waiting; });
  return found;
}

SpoolView::SpoolView(io::Proactor& proactor, const Config& config)
    : proactor_(proactor), config_(config), now_(proactor.wall()), routes_(config) {}

SpoolView::~SpoolView() {
  for (const io::File file : files_) {
    io::CloseFile close;
    close.file = file;
    io::run(proactor_, close);
  }
}

/// The journal first: what is unfinished when the campaigns are opened after it was so, with all
/// its segments, before.
std::expected<std::unique_ptr<SpoolView>, spool::Error> SpoolView::open(io::Proactor& proactor,
                                                                        const Config& config) {
  std::unique_ptr<SpoolView> view(new SpoolView(proactor, config));
  if (auto rules = view->read_rules(); !rules) return std::unexpected(rules.error());
  auto recovered = view->read_journal();
  if (!recovered) return std::unexpected(recovered.error());
  if (auto opened = view->open_campaigns(*recovered); !opened)
    return std::unexpected(opened.error());
  std::ranges::sort(view->mails_, {}, [](const WaitingMail& mail) {
    return std::pair(mail.campaign().info().accepted_at, mail.campaign().info().uid);
  });
  view->look_for_engine();
  return view;
}

std::expected<spool::Recovered, spool::Error> SpoolView::read_journal() {
  for (int tried = 1;; ++tried) {
    auto recovered = spool::recover_journal(proactor_, config_.spool, true);
    if (!recovered && recovered.error().code == spool::ErrorCode::missing &&
        tried < journal_tries_max)
      continue;
    if (recovered)
      for (const spool::Damage& damage : recovered->damages)
        problems_.push_back(fmt::format("{}: {} octets at {} passed over: {}", damage.path,
                                        damage.bytes, damage.offset, damage.reason));
    return recovered;
  }
}

std::expected<void, spool::Error> SpoolView::read_rules() {
  const auto files = spool::read_rules(proactor_, config_.spool);
  if (!files) return std::unexpected(files.error());
  for (const spool::Error& error : files->unreadable) problems_.push_back(error.message);
  for (const spool::RuleFile& file : files->files) {
    auto rule = Rule::decode(file.name, file.text);
    if (rule)
      rules_.push_back(std::move(*rule));
    else
      problems_.push_back(
          fmt::format("{}/{}/{}: {}", config_.spool, spool::rules_folder, file.name, rule.error()));
  }
  return {};
}

std::expected<void, spool::Error> SpoolView::open_campaigns(spool::Recovered& recovered) {
  io::ListDirectory list;
  list.path = config_.spool + "/campaigns";
  const int32_t listed = io::run(proactor_, list);
  if (listed == -ENOENT) return no_spool(config_.spool);
  if (listed < 0)
    return std::unexpected(spool::disk_error("list the campaigns", list.path, listed));
  unsigned opening = 0;
  for (const std::string& name : list.names) {
    if (name.starts_with('.')) continue;
    ++opening;
    spool::open_campaign(proactor_, list.path + "/" + name,
                         [&](std::expected<spool::OpenedCampaign, spool::Error> result) {
                           --opening;
                           if (!result) {
                             if (result.error().code != spool::ErrorCode::missing)
                               problems_.push_back(std::move(result.error().message));
                           } else if (result->campaign) {
                             add(std::move(result->campaign), recovered);
                           }
                         });
    while (opening >= openings_max) proactor_.wait(io::never, openings_max);
  }
  while (opening > 0) proactor_.wait(io::never, openings_max);
  return {};
}

void SpoolView::add(std::shared_ptr<const spool::Campaign> campaign, spool::Recovered& recovered) {
  files_.push_back(campaign->file());
  auto message = CampaignMessage::decode(campaign->message());
  std::optional<mail::Template> content;
  if (message) content = mail::Template::decode(message->content);
  if (!content)
    return problems_.push_back(fmt::format(
        "{}: its message cannot be read; was it written by a newer release?", campaign->path()));
  spool::Progress progress;
  if (const auto known = recovered.campaigns.find(campaign->info().uid);
      known != recovered.campaigns.end())
    progress = std::move(known->second);
  mails_.emplace_back(std::move(campaign), std::move(*message), std::move(*content),
                      std::move(progress), rules_, config_, routes_);
}

/// An engine holds a lock on `owner`. Asking for it would be in its way: the kernel's list of locks
/// tells as well.
void SpoolView::look_for_engine() {
  const std::string path = config_.spool + "/owner";
  struct stat attributes;
  if (::stat(path.c_str(), &attributes) < 0) return;
  const std::string wanted = fmt::format(":{}", attributes.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, pid, file;
    words >> number >> kind >> mode >> access >> pid >> file;
    if (kind != "FLOCK" || !file.ends_with(wanted)) continue;
    std::ifstream owner(path);
    int owner_pid = 0;
    owner >> owner_pid;
    engine_pid_ = owner_pid;
    return;
  }
}

uint64_t visit_entries(io::Proactor& proactor, const spool::Campaign& campaign, Range range,
                       const std::function<void(uint32_t number, spool::Bytes entry)>& visit) {
  const uint64_t end =
      std::min<uint64_t>(uint64_t{range.first} + range.count, campaign.recipients());
  std::vector<std::byte> octets;
  uint64_t lost = 0;
  for (uint64_t at = range.first; at < end;) {
    const spool::BlockRef ref = campaign.block(campaign.block_of(static_cast<uint32_t>(at)));
    const uint64_t block_end = uint64_t{ref.first} + ref.count;
    octets.resize(ref.bytes);
    io::Read read;
    read.file = campaign.file();
    read.offset = ref.offset;
    read.bytes = octets;
    const int32_t result = io::run(proactor, read);
    const bool is_sound = result == static_cast<int32_t>(octets.size()) &&
                          spool::visit_block(ref, octets, [&](uint32_t number, spool::Bytes entry) {
                            if (number >= range.first && number < end) visit(number, entry);
                          });
    if (!is_sound) lost += std::min(block_end, end) - at;
    at = block_end;
  }
  return lost;
}

}  // namespace sluice::engine::report
