#include "spool/finishing.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "spool/campaign_file.h"
#include "spool/campaign_name.h"

namespace sluice::spool {
namespace {

constexpr io::Duration retry_interval = std::chrono::seconds(1);

}  // namespace

Finishing::Finishing(io::EventLoop& loop, std::shared_ptr<const Campaign> campaign,
                     const CampaignSummary& summary, std::function<void()> done)
    : loop_(loop),
      campaign_(std::move(campaign)),
      done_(std::move(done)),
      octets_(encode_head({.salt = Salt::from(loop.proactor().random()),
                           .info = campaign_->info(),
                           .summary = summary})) {
  const std::string& path = campaign_->path();
  const std::string folder = path.substr(0, path.rfind('/'));
  open_.path = rename_.from =
      folder + "/" + std::string(summary_prefix) + path.substr(folder.size() + 1);
  open_.flags = O_WRONLY | O_CREAT | O_TRUNC;
  write_.bytes = octets_;
  rename_.to = unlink_.path = path;
  sync_directory_.path = folder;
  close_campaign_.file = campaign_->file();
  open_.bind<&Finishing::completed<io::Open>>(this);
  write_.bind<&Finishing::completed<io::Write>>(this);
  datasync_.bind<&Finishing::completed<io::Datasync>>(this);
  close_.bind<&Finishing::completed<io::CloseFile>>(this);
  rename_.bind<&Finishing::completed<io::Rename>>(this);
  unlink_.bind<&Finishing::completed<io::Unlink>>(this);
  sync_directory_.bind<&Finishing::completed<io::SyncDirectory>>(this);
  close_campaign_.bind<&Finishing::completed<io::CloseFile>>(this);
  retry_timer_.bind<&Finishing::begin>(this);
  begin();
}

bool Finishing::is_in_flight() const {
  return open_.in_flight || write_.in_flight || datasync_.in_flight || close_.in_flight ||
         rename_.in_flight || unlink_.in_flight || sync_directory_.in_flight ||
         close_campaign_.in_flight;
}

void Finishing::stop() {
  is_stopped_ = true;
  if (retry_timer_.is_armed()) loop_.timers().cancel(retry_timer_);
}

void Finishing::begin() {
  if (campaign_->info().is_repeatable)
    steps_ = {&close_campaign_, &sync_directory_, &rename_, &close_, &datasync_, &write_, &open_};
  else
    steps_ = {&close_campaign_, &sync_directory_, &unlink_};
  step_on();
}

template <class Step>
void Finishing::completed(Step& step, const io::Completion& completion) {
  io::Op& op = step;
  if (&op == &open_ && completion.result >= 0)
    write_.file = datasync_.file = close_.file = open_.file;
  // A file is closed whatever close(2) says, and gone when it was unlinked before the sync failed.
  const bool is_gone = &op == &unlink_ && completion.result == -ENOENT;
  if (completion.result < 0 && &op != &close_campaign_ && !is_gone) {
    const bool is_open = &op == &write_ || &op == &datasync_;
    steps_.clear();
    if (is_open) return loop_.proactor().submit(close_);
    if (!is_stopped_) loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
    return;
  }
  if (&op == &close_ && steps_.empty()) {  // after a failure
    if (!is_stopped_) loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
    return;
  }
  step_on();
}

void Finishing::step_on() {
  if (steps_.empty()) return done_();
  io::Op* const step = steps_.back();
  steps_.pop_back();
  loop_.proactor().submit(*step);
}

}  // namespace sluice::spool
