#include "engine/report/spool_view.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "spool/disk_error.h"
#include "spool/mail_recovery.h"
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

namespace {

/// What the journal says of connections, for mail of this campaign, by destination.
void add_waits(const Mailing& mailing, const spool::Progress& progress, Routes& routes,
               WaitingMail::RouteWaits& out) {
  const auto groups = mailing.campaign->groups();
  for (const spool::Wait& wait : progress.waits) {
    if (wait.recipient >= mailing.campaign->recipients()) continue;
    const auto after = std::ranges::upper_bound(groups, wait.recipient, {}, &spool::Group::first);
    out[routes.key(mailing, *std::ranges::prev(after))].add(wait);
  }
}

const spool::Waits* waits_of(const WaitingMail::RouteWaits& waits, const Routes::Key& key) {
  const auto found = waits.find(key);
  return found == waits.end() ? nullptr : &found->second;
}

}  // namespace

WaitingMail::WaitingMail(MailingPtr mailing, spool::Progress progress,
                         const std::vector<Rule>& rules, const Config& config, Routes& routes,
                         const RouteWaits& route_waits)
    : mailing_(std::move(mailing)),
      progress_(std::move(progress)),
      standing_(queue::standing(rules, campaign(), config)) {
  add_waits(*mailing_, progress_, routes, waits_);
  std::map<std::pair<std::string_view, std::string_view>, Group> known;  // they may come again
  groups_.reserve(campaign().group_count());
  for (const spool::Group& group : campaign().groups()) {
    const auto [it, is_new] = known.try_emplace({group.name, group.sender});
    if (is_new) {
      it->second.policy = &routes.policy(*mailing_, group);
      const Routes::Key key = routes.key(*mailing_, group);
      it->second.waits = waits_of(waits_, key);
      it->second.route_waits = waits_of(route_waits, key);
    }
    groups_.push_back(it->second);
  }
}

size_t WaitingMail::group_of(uint32_t number) const {
  const auto groups = campaign().groups();
  const auto after = std::ranges::upper_bound(groups, number, {}, &spool::Group::first);
  return static_cast<size_t>(after - groups.begin()) - 1;
}

io::WallTime WaitingMail::expires(uint32_t number, size_t group) const {
  return mailing_->accepted_at(number) + mailing_->lifetime(*groups_[group].policy);
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
  } else {
    const uint16_t attempts = waits == nullptr  ? uint16_t{0}
                              : is_of_letters() ? waits->attempts_of(number)
                                                : waits->attempts();
    const spool::Waits* const others = groups_[group].route_waits;
    // What came while its destination was not tried has made no attempt, and waits with the others.
    out.is_shared = attempts > 0 || (others && others->refusals() > 0);
    if (out.is_shared) {
      out.state = WaitState::deferred;
      out.attempts = attempts;
      out.next_attempt = attempts > 0 ? waits->next_attempt() : others->next_attempt();
    }
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
/// its segments, before. But mail before it, or what came and went meanwhile would seem to wait.
std::expected<std::unique_ptr<SpoolView>, spool::Error> SpoolView::open(io::Proactor& proactor,
                                                                        const Config& config) {
  std::unique_ptr<SpoolView> view(new SpoolView(proactor, config));
  if (auto rules = view->read_rules(); !rules) return std::unexpected(rules.error());
  if (auto opened = view->open_segments(); !opened) return std::unexpected(opened.error());
  auto recovered = view->read_journal();
  if (!recovered) return std::unexpected(recovered.error());
  if (auto opened = view->open_campaigns(*recovered); !opened)
    return std::unexpected(opened.error());
  view->add_segments(*recovered);
  view->describe();
  std::ranges::sort(view->mails_, {}, [](const WaitingMail& mail) {
    return std::pair(mail.campaign().info().accepted_at, mail.campaign().info().uid);
  });
  view->look_for_engine();
  return view;
}

std::expected<void, spool::Error> SpoolView::open_segments() {
  auto mail = spool::recover_mail(proactor_, config_.spool, true);
  if (!mail) return std::unexpected(mail.error());
  note(mail->damages);
  segments_ = std::move(mail->segments);
  for (const auto& segment : segments_) files_.push_back(segment->file());
  return {};
}

void SpoolView::note(const std::vector<spool::Damage>& damages) {
  for (const spool::Damage& damage : damages)
    problems_.push_back(fmt::format("{}: {} octets at {} passed over: {}", damage.path,
                                    damage.bytes, damage.offset, damage.reason));
}

std::expected<spool::Recovered, spool::Error> SpoolView::read_journal() {
  for (int tried = 1;; ++tried) {
    auto recovered = spool::recover_journal(proactor_, config_.spool, true);
    if (!recovered && recovered.error().code == spool::ErrorCode::missing &&
        tried < journal_tries_max)
      continue;
    if (recovered) note(recovered->damages);
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
  add(std::make_shared<Mailing>(std::move(campaign), std::move(*message), std::move(*content),
                                spool::Progress{}),
      recovered);
}

/// One whose file has gone was finished, and the journal may have dropped what it knew of it; of
/// one that is there the journal, which was read later, knows all that became of it until then.
void SpoolView::add_segments(spool::Recovered& recovered) {
  for (auto& segment : std::exchange(segments_, {})) {
    io::Stat stat;
    stat.path = segment->path();
    if (io::run(proactor_, stat) == -ENOENT) continue;
    add(std::make_shared<Mailing>(std::move(segment), spool::Progress{}), recovered);
  }
}

void SpoolView::add(MailingPtr mailing, spool::Recovered& recovered) {
  auto known = recovered.campaigns.extract(mailing->campaign->info().uid);
  found_.emplace_back(std::move(mailing), known ? std::move(known.mapped()) : spool::Progress{});
}

void SpoolView::describe() {
  for (const auto& [mailing, progress] : found_)
    add_waits(*mailing, progress, routes_, route_waits_);
  for (auto& [mailing, progress] : std::exchange(found_, {}))
    mails_.emplace_back(std::move(mailing), std::move(progress), rules_, config_, routes_,
                        route_waits_);
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

}  // namespace sluice::engine::report
