#include "spool/handoff.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "io/check.h"
#include "spool/campaign_name.h"
#include "spool/disk_error.h"

namespace sluice::spool {

Handoff::Handoff(io::Proactor& proactor, const std::string& spool)
    : proactor_(proactor), folder_(spool + "/campaigns") {
  open_.flags = O_WRONLY | O_CREAT | O_EXCL;
  rename_.keep_existing = true;
  sync_directory_.path = folder_;
  open_.bind<&Handoff::opened>(this);
  lock_.bind<&Handoff::locked>(this);
  stat_.bind<&Handoff::looked>(this);
  write_.bind<&Handoff::written>(this);
  datasync_.bind<&Handoff::synced>(this);
  rename_.bind<&Handoff::renamed>(this);
  sync_directory_.bind<&Handoff::names_synced>(this);
  unlink_.bind<&Handoff::unlinked>(this);
  close_.bind<&Handoff::closed>(this);
}

Handoff::~Handoff() {
  done_ = nullptr;
  while (is_busy_) proactor_.wait(io::never, 64);
}

void Handoff::start(const std::string& id, Bytes octets, Done done) {
  CHECK(!is_busy_ && is_campaign_id(id));
  is_busy_ = true;
  done_ = std::move(done);
  result_ = {};
  write_.bytes = octets;
  rename_.to = folder_ + "/" + campaign_file_name(id);
  if (unsynced_ == rename_.to) return proactor_.submit(sync_directory_);
  begin();
}

void Handoff::begin() {
  begins_anew_ = false;
  open_.path = fmt::format("{}/{}{:016x}", folder_, handoff_prefix, proactor_.random());
  rename_.from = stat_.path = unlink_.path = open_.path;
  proactor_.submit(open_);
}

void Handoff::opened(io::Open&, const io::Completion& completion) {
  if (completion.result == -EEXIST) return begin();
  if (completion.result < 0) {
    result_ = std::unexpected(disk_error("create a file", folder_, completion.result));
    return end();
  }
  is_named_ = is_open_ = true;
  lock_.file = write_.file = datasync_.file = close_.file = open_.file;
  proactor_.submit(lock_);
}

/// When the engine's sweep was quicker than our lock: begin anew under another name (FORMAT.md
/// section 4.2).
void Handoff::locked(io::Lock&, const io::Completion& completion) {
  if (completion.result == -EWOULDBLOCK) {
    begins_anew_ = true;
    return close();
  }
  if (completion.result < 0) return refuse("lock a file", completion.result);
  proactor_.submit(stat_);
}

void Handoff::looked(io::Stat&, const io::Completion& completion) {
  begins_anew_ = completion.result == -ENOENT;
  if (begins_anew_) return close();
  if (completion.result < 0) return refuse("look for a file", completion.result);
  proactor_.submit(write_);
}

void Handoff::written(io::Write&, const io::Completion& completion) {
  if (completion.result < 0) return refuse("write a campaign", completion.result);
  proactor_.submit(datasync_);
}

void Handoff::synced(io::Datasync&, const io::Completion& completion) {
  if (completion.result < 0) return refuse("sync a campaign", completion.result);
  proactor_.submit(rename_);
}

void Handoff::renamed(io::Rename&, const io::Completion& completion) {
  if (completion.result >= 0) {
    is_named_ = false;
    unsynced_ = rename_.to;
  }
  if (completion.result < 0 && completion.result != -EEXIST)
    return refuse("hand a campaign over", completion.result);
  proactor_.submit(sync_directory_);
}

void Handoff::names_synced(io::SyncDirectory&, const io::Completion& completion) {
  if (completion.result < 0) return refuse("sync the folder", completion.result);
  unsynced_.clear();
  close();
}

void Handoff::refuse(std::string_view what, int32_t result) {
  result_ = std::unexpected(disk_error(what, folder_, result));
  close();
}

/// Unlinks what has its temporary name still, and lets the file go, and the lock with it.
void Handoff::close() {
  if (std::exchange(is_named_, false)) return proactor_.submit(unlink_);
  if (!is_open_) return end();
  proactor_.submit(close_);
}

void Handoff::unlinked(io::Unlink&, const io::Completion&) { proactor_.submit(close_); }

void Handoff::closed(io::CloseFile&, const io::Completion&) {
  is_open_ = false;
  begins_anew_ ? begin() : end();
}

void Handoff::end() {
  is_busy_ = false;
  write_.bytes = {};
  if (const Done done = std::exchange(done_, nullptr)) done(std::move(result_));
}

}  // namespace sluice::spool
