#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "io/check.h"
#include "spool/campaign.h"
#include "spool/campaign_encoder.h"
#include "spool/campaign_file.h"
#include "spool/campaign_name.h"
#include "spool/disk_error.h"
#include "spool/spool_folder.h"

namespace sluice::spool {
namespace {

constexpr size_t write_buffer_bytes = 1024 * 1024;
constexpr double mebibyte = 1024 * 1024;

class HandoffWriter final : public CampaignWriter {
 public:
  HandoffWriter(io::Proactor& proactor, const std::string& spool, CampaignInfo info)
      : proactor_(proactor),
        folder_(spool + "/campaigns"),
        path_(folder_ + "/" + campaign_file_name(info.id)),
        info_(std::move(info)) {}
  HandoffWriter(const HandoffWriter&) = delete;
  HandoffWriter& operator=(const HandoffWriter&) = delete;
  ~HandoffWriter() override { discard(); }

  std::expected<void, Error> start();

  bool is_known() const override { return is_known_; }
  std::expected<void, Error> begin_group(std::string_view name) override;
  std::expected<void, Error> add(Bytes entry) override;
  std::expected<Committed, Error> commit(Bytes message) override;

 private:
  std::expected<bool, Error> create_temporary();
  void take(Bytes bytes);
  void flush();
  void write(Bytes bytes, uint64_t offset);
  std::expected<void, Error> sync_names();
  void discard();
  bool go_on(int32_t result, std::string_view what, const std::string& path);
  std::unexpected<Error> refused() const { return std::unexpected(*error_); }

  io::Proactor& proactor_;
  const std::string folder_, path_;
  CampaignInfo info_;
  bool is_known_ = false;
  std::optional<Error> error_;  // the first one; nothing goes on after it

  std::string temporary_;  // path, while it exists
  io::File file_;
  std::vector<std::byte> buffer_;
  uint64_t written_ = head_bytes;  // octets of the file before buffer_; the head comes last
  std::optional<CampaignEncoder> encoder_;
};

std::expected<void, Error> HandoffWriter::start() {
  io::Stat stat;
  stat.path = path_;
  const int32_t found = io::run(proactor_, stat);
  is_known_ = found == 0;
  if (is_known_) return sync_names();
  if (found != -ENOENT) return std::unexpected(disk_error("look for the campaign", path_, found));
  encoder_.emplace(Salt::from(proactor_.random()), [this](Bytes bytes) { take(bytes); });
  while (info_.uid == 0) info_.uid = proactor_.random();
  for (;;) {
    const auto created = create_temporary();
    if (!created) return std::unexpected(created.error());
    if (*created) break;
  }
  buffer_.reserve(write_buffer_bytes);
  return {};
}

/// False when an engine's sweep was quicker than our lock (FORMAT.md section 4.2): begin anew under
/// another name.
std::expected<bool, Error> HandoffWriter::create_temporary() {
  const std::string path = fmt::format("{}/{}{:016x}", folder_, handoff_prefix, proactor_.random());
  io::Open open;
  open.path = path;
  open.flags = O_WRONLY | O_CREAT | O_EXCL;
  if (const int32_t opened = io::run(proactor_, open); opened < 0) {
    if (opened == -EEXIST) return false;
    return std::unexpected(disk_error("create a file", path, opened));
  }
  file_ = open.file;
  temporary_ = path;
  io::Lock lock;
  lock.file = file_;
  const int32_t locked = io::run(proactor_, lock);
  if (locked < 0 && locked != -EWOULDBLOCK)
    return std::unexpected(disk_error("lock", path, locked));
  io::Stat stat;
  stat.path = path;
  if (locked == 0 && io::run(proactor_, stat) == 0) return true;
  discard();
  return false;
}

std::expected<void, Error> HandoffWriter::begin_group(std::string_view name) {
  if (error_) return refused();
  if (!is_known_) encoder_->begin_group(name);
  return {};
}

std::expected<void, Error> HandoffWriter::add(Bytes entry) {
  if (is_known_) return {};
  if (!error_)
    if (auto added = encoder_->add(entry); !added) error_ = std::move(added.error());
  if (error_) return refused();
  return {};
}

/// From the encoder: small pieces are gathered, large ones written from where they lie.
void HandoffWriter::take(Bytes bytes) {
  if (buffer_.size() + bytes.size() > write_buffer_bytes) flush();
  if (bytes.size() < write_buffer_bytes) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    return;
  }
  write(bytes, written_);
  written_ += bytes.size();
}

void HandoffWriter::flush() {
  write(buffer_, written_);
  written_ += buffer_.size();
  buffer_.clear();
}

void HandoffWriter::write(Bytes bytes, uint64_t offset) {
  if (error_ || bytes.empty()) return;
  io::Write write;
  write.file = file_;
  write.offset = offset;
  write.bytes = bytes;
  const int32_t result = io::run(proactor_, write);
  if (result >= 0) return;
  error_ = disk_error("write", folder_, result);
  if (error_->code == ErrorCode::no_space)
    error_->message = fmt::format(
        "{}: no space left on the disk: campaign '{}' needs more than {:.1f} MiB ({} recipients "
        "were written); "
        "nothing was handed off; free some and try again",
        folder_, info_.id, static_cast<double>(offset + bytes.size()) / mebibyte,
        encoder_->recipients());
}

bool HandoffWriter::go_on(int32_t result, std::string_view what, const std::string& path) {
  if (result < 0 && !error_) error_ = disk_error(what, path, result);
  return !error_;
}

std::expected<CampaignWriter::Committed, Error> HandoffWriter::commit(Bytes message) {
  if (is_known_) return Committed{.was_known = true};
  if (error_) return refused();
  const auto head = encoder_->finish(info_, message);
  if (!head) error_ = head.error();
  flush();
  if (!error_) write(*head, 0);
  if (error_) return refused();

  io::Datasync datasync;
  datasync.file = file_;
  if (!go_on(io::run(proactor_, datasync), "sync the campaign to disk", folder_)) return refused();
  io::Rename rename;
  rename.from = temporary_;
  rename.to = path_;
  rename.keep_existing = true;
  const int32_t renamed = io::run(proactor_, rename);
  if (renamed == -EEXIST) {
    is_known_ = true;
    discard();
    if (auto synced = sync_names(); !synced) return std::unexpected(synced.error());
    return Committed{.was_known = true};
  }
  if (!go_on(renamed, "hand the campaign over", path_)) return refused();
  temporary_.clear();
  if (auto synced = sync_names(); !synced) return std::unexpected(synced.error());
  discard();
  return Committed{.was_known = false, .bytes = written_};
}

/// Also before an id is called known: who handed it over may have died before he could sync.
std::expected<void, Error> HandoffWriter::sync_names() {
  io::SyncDirectory sync;
  sync.path = folder_;
  if (go_on(io::run(proactor_, sync), "sync the folder", folder_)) return {};
  return refused();
}

/// Lets the file go, and the lock with it; unlinks it while its name is temporary.
void HandoffWriter::discard() {
  if (!temporary_.empty()) {
    io::Unlink unlink;
    unlink.path = std::exchange(temporary_, {});
    io::run(proactor_, unlink);
  }
  if (file_.is_open()) {
    io::CloseFile close;
    close.file = std::exchange(file_, {});
    io::run(proactor_, close);
  }
}

}  // namespace

std::expected<std::unique_ptr<CampaignWriter>, Error> CampaignWriter::create(
    io::Proactor& proactor, const std::string& spool, CampaignInfo info) {
  if (!is_campaign_id(info.id))
    return std::unexpected(Error{
        ErrorCode::not_allowed, 0,
        fmt::format("campaign '{}': an id is 1 to {} octets of UTF-8 without control characters",
                    info.id, campaign_id_bytes_max)});
  if (auto made = make_spool_folder(proactor, spool, {"campaigns"}); !made)
    return std::unexpected(made.error());
  auto writer = std::make_unique<HandoffWriter>(proactor, spool, std::move(info));
  if (auto started = writer->start(); !started) return std::unexpected(started.error());
  return writer;
}

}  // namespace sluice::spool
