#include "spool/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <iterator>
#include <list>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "io/check.h"
#include "spool/campaign_name.h"
#include "spool/disk_error.h"
#include "spool/finishing.h"
#include "spool/live_campaigns.h"
#include "spool/mail_recovery.h"
#include "spool/rule_files.h"
#include "spool/spool_folder.h"
#include "spool/sweep.h"

namespace sluice::spool {
namespace {

/// How often to look without a working watch, and once after the start, for what came before the
/// watch stood.
constexpr io::Duration look_interval = std::chrono::milliseconds(50);

class FolderSpool final : public Spool {
 public:
  FolderSpool(io::EventLoop& loop, const std::string& folder);
  FolderSpool(const FolderSpool&) = delete;
  FolderSpool& operator=(const FolderSpool&) = delete;
  ~FolderSpool() override;

  std::expected<void, Error> lock();
  std::expected<void, Error> recover();

  Recovered& recovered() override { return recovered_; }
  const std::string& folder() const override { return folder_; }
  void start(Listener& listener) override;
  bool is_settled() const override {
    return has_listed_ && !list_.in_flight && !look_again_ && waiting_.empty() && !is_opening_;
  }
  void adopt(std::shared_ptr<const MailSegment> segment) override {
    mail_.emplace(segment.get(), std::move(segment));
  }
  void finish(std::shared_ptr<const Campaign> campaign, const CampaignSummary& summary,
              std::function<void()> done) override;
  uint64_t campaign_bytes() const override;
  void stop() override;
  bool is_in_flight() const override;

 private:
  std::string owner_pid(io::File file);
  void look();
  void look_later();
  void listed(io::ListDirectory&, const io::Completion& completion);
  void changed(io::WatchDirectory&, const io::Completion& completion);
  void names_synced(io::SyncDirectory&, const io::Completion& completion);
  void open_next();
  void opened(const std::string& name, std::expected<OpenedCampaign, Error> result);
  void close(io::File file);

  io::EventLoop& loop_;
  io::Proactor& proactor_;
  const std::string folder_, campaigns_;
  io::File owner_;
  Recovered recovered_;
  Listener* listener_ = nullptr;
  bool is_stopped_ = false;

  io::WatchDirectory watch_;
  io::ListDirectory list_;
  io::SyncDirectory sync_names_;
  io::Timer look_timer_;
  bool has_listed_ = false, look_again_ = false;

  std::unordered_set<std::string> seen_;  // names of campaigns that were opened, or wait for it
  std::deque<std::string> waiting_;       // to be opened, one at a time
  bool is_opening_ = false;
  bool is_synced_ = false;  // the names in waiting_ are on disk
  Sweep sweep_;

  std::unordered_map<const Campaign*, std::shared_ptr<const Campaign>> campaigns_open_;
  uint64_t campaign_bytes_ = 0;  // of campaigns_open_
  std::unordered_map<const Campaign*, std::shared_ptr<const MailSegment>> mail_;
  std::vector<std::shared_ptr<const MailSegment>> arrived_mail_;  // not announced yet
  std::list<Finishing> finishing_;
};

FolderSpool::FolderSpool(io::EventLoop& loop, const std::string& folder)
    : loop_(loop),
      proactor_(loop.proactor()),
      folder_(folder),
      campaigns_(folder + "/campaigns"),
      sweep_(loop.proactor()) {
  watch_.path = list_.path = sync_names_.path = campaigns_;
  watch_.bind<&FolderSpool::changed>(this);
  list_.bind<&FolderSpool::listed>(this);
  sync_names_.bind<&FolderSpool::names_synced>(this);
  look_timer_.bind<&FolderSpool::look>(this);
}

FolderSpool::~FolderSpool() {
  stop();
  while (is_in_flight()) proactor_.wait(io::never, 64);
  for (const auto& [campaign, owned] : campaigns_open_) close(campaign->file());
  for (const auto& [segment, owned] : mail_) close(segment->file());
  if (owner_.is_open()) close(owner_);
}

void FolderSpool::close(io::File file) {
  io::CloseFile op;
  op.file = file;
  io::run(proactor_, op);
}

std::expected<void, Error> FolderSpool::lock() {
  const std::string path = folder_ + "/owner";
  io::Open open;
  open.path = path;
  open.flags = O_RDWR | O_CREAT;
  if (const int32_t result = io::run(proactor_, open); result < 0)
    return std::unexpected(disk_error("create the lock", path, result));
  owner_ = open.file;
  io::Lock lock;
  lock.file = owner_;
  const int32_t locked = io::run(proactor_, lock);
  if (locked == -EWOULDBLOCK)
    return std::unexpected(Error{ErrorCode::locked, 0,
                                 fmt::format("{}: in use by process {}: a spool has one engine at "
                                             "a time; stop that one or choose another spool",
                                             folder_, owner_pid(owner_))});
  if (locked < 0) return std::unexpected(disk_error("lock", path, locked));
  const std::string pid = fmt::format("{:<10}\n", ::getpid());
  io::Write write;
  write.file = owner_;
  write.bytes = std::as_bytes(std::span(pid));
  io::run(proactor_,
          write);  // only for the message above: a full disk need not stop an engine here
  return {};
}

std::string FolderSpool::owner_pid(io::File file) {
  std::array<char, 16> text{};
  io::Read read;
  read.file = file;
  read.bytes = std::as_writable_bytes(std::span(text));
  const int32_t bytes = io::run(proactor_, read);
  std::string pid(text.data(), static_cast<size_t>(std::max(bytes, 0)));
  std::erase_if(pid, [](char c) { return c < '0' || c > '9'; });
  return pid.empty() ? "(not known)" : pid;
}

std::expected<void, Error> FolderSpool::recover() {
  if (auto checked = check_mail_versions(proactor_, folder_); !checked) return checked;
  auto recovered = recover_journal(proactor_, folder_);
  if (!recovered) return std::unexpected(recovered.error());
  recovered_ = std::move(*recovered);
  auto mail = recover_mail(proactor_, folder_);
  if (!mail) return std::unexpected(mail.error());
  for (const auto& segment : mail->segments) adopt(segment);
  arrived_mail_ = std::move(mail->segments);
  std::ranges::move(mail->damages, std::back_inserter(recovered_.damages));
  recovered_.torn_bytes += mail->torn_bytes;
  recovered_.next_sequence = std::max(recovered_.next_sequence, mail->next_sequence);
  return drop_finished(proactor_, folder_, recovered_);
}

void FolderSpool::start(Listener& listener) {
  listener_ = &listener;
  for (auto& segment : std::exchange(arrived_mail_, {})) listener.mail_arrived(std::move(segment));
  proactor_.submit(watch_);
  look();
  look_later();
}

void FolderSpool::look() {
  if (is_stopped_) return;
  look_again_ = list_.in_flight;
  if (!list_.in_flight) proactor_.submit(list_);
}

void FolderSpool::look_later() { loop_.timers().arm(look_timer_, loop_.now() + look_interval); }

void FolderSpool::changed(io::WatchDirectory&, const io::Completion& completion) {
  if (is_stopped_) return;
  if (completion.more) return look();
  // The watch ended (too many watches?): look at intervals, and try for a watch each time.
  look_later();
}

void FolderSpool::listed(io::ListDirectory&, const io::Completion& completion) {
  if (is_stopped_) return;
  if (completion.result < 0) return look_later();
  if (!watch_.in_flight) {
    proactor_.submit(watch_);
    look_later();
  }
  for (const std::string& name : list_.names) {
    const bool is_handoff = name.starts_with(handoff_prefix);
    if (is_handoff || (name.starts_with(summary_prefix) && !has_listed_))
      sweep_.add(campaigns_ + "/" + name, is_handoff);
    if (!name.starts_with('.') && seen_.insert(name).second) {
      waiting_.push_back(name);
      is_synced_ = false;
    }
  }
  has_listed_ = true;
  if (look_again_) look();
  open_next();
}

/// A submitter that was killed between rename and sync leaves a name that a loss of power can take
/// back; nothing may be delivered from it before.
void FolderSpool::names_synced(io::SyncDirectory&, const io::Completion& completion) {
  if (is_stopped_) return;
  if (completion.result >= 0) return open_next();
  is_synced_ = false;
  look_later();
}

void FolderSpool::open_next() {
  if (is_opening_ || waiting_.empty() || is_stopped_ || sync_names_.in_flight) return;
  if (!std::exchange(is_synced_, true)) return proactor_.submit(sync_names_);
  const std::string name = std::move(waiting_.front());
  waiting_.pop_front();
  is_opening_ = true;
  open_campaign(proactor_, campaigns_ + "/" + name,
                [this, name](std::expected<OpenedCampaign, Error> result) {
                  opened(name, std::move(result));
                });
}

void FolderSpool::opened(const std::string& name, std::expected<OpenedCampaign, Error> result) {
  is_opening_ = false;
  if (result && result->campaign) {
    campaigns_open_.emplace(result->campaign.get(), result->campaign);
    campaign_bytes_ += result->campaign->bytes();
  }
  if (is_stopped_) return;
  open_next();
  if (!result && result.error().code == ErrorCode::missing)
    seen_.erase(name);  // gone since it was listed
  else if (!result)
    listener_->campaign_unreadable(campaigns_ + "/" + name, result.error());
  else if (result->campaign)
    listener_->campaign_arrived(std::move(result->campaign));
  else
    listener_->summary_found(result->info);
}

void FolderSpool::finish(std::shared_ptr<const Campaign> campaign, const CampaignSummary& summary,
                         std::function<void()> done) {
  if (const auto mail = mail_.find(campaign.get()); mail != mail_.end())
    CHECK(mail->second->is_sealed());
  const auto place = finishing_.begin();
  const Campaign* const key = campaign.get();
  const auto self = std::make_shared<std::list<Finishing>::iterator>(place);
  auto ended = [this, key, self, told = std::move(done)] {
    const auto call = std::move(told);
    if (mail_.erase(key) == 0) {
      campaign_bytes_ -= key->bytes();
      if (!key->info().is_repeatable) seen_.erase(campaign_file_name(key->info().id));
      campaigns_open_.erase(key);
    }
    finishing_.erase(*self);
    call();
  };
  *self = finishing_.emplace(place, loop_, std::move(campaign), summary, std::move(ended));
}

uint64_t FolderSpool::campaign_bytes() const {
  uint64_t bytes = campaign_bytes_;
  for (const auto& [segment, owned] : mail_) bytes += segment->bytes();
  return bytes;
}

void FolderSpool::stop() {
  if (std::exchange(is_stopped_, true)) return;
  waiting_.clear();
  sweep_.stop();
  if (look_timer_.is_armed()) loop_.timers().cancel(look_timer_);
  if (watch_.in_flight) proactor_.cancel(watch_);
  for (Finishing& f : finishing_) f.stop();
}

bool FolderSpool::is_in_flight() const {
  return watch_.in_flight || list_.in_flight || sync_names_.in_flight || is_opening_ ||
         sweep_.is_in_flight() ||
         std::ranges::any_of(finishing_, [](const Finishing& f) { return f.is_in_flight(); });
}

}  // namespace

std::expected<std::unique_ptr<Spool>, Error> Spool::open(io::EventLoop& loop,
                                                         const std::string& folder) {
  if (auto made = make_spool_folder(loop.proactor(), folder,
                                    {"campaigns", "journal", mail_folder, rules_folder});
      !made)
    return std::unexpected(made.error());
  auto spool = std::make_unique<FolderSpool>(loop, folder);
  if (auto locked = spool->lock(); !locked) return std::unexpected(locked.error());
  if (auto recovered = spool->recover(); !recovered) return std::unexpected(recovered.error());
  return spool;
}

}  // namespace sluice::spool
