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
#include "spool/temporary_file.h"

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
        info_(std::move(info)),
        file_(proactor) {}

  std::expected<void, Error> start();

  bool is_known() const override { return is_known_; }
  std::expected<void, Error> begin_group(std::string_view name) override;
  std::expected<void, Error> add(Bytes entry) override;
  std::expected<Committed, Error> commit(Bytes message) override;

 private:
  void take(Bytes bytes);
  void flush();
  void write(Bytes bytes, uint64_t offset);
  std::expected<void, Error> sync_names();
  bool go_on(int32_t result, std::string_view what, const std::string& path);
  std::unexpected<Error> refused() const { return std::unexpected(*error_); }

  io::Proactor& proactor_;
  const std::string folder_, path_;
  CampaignInfo info_;
  bool is_known_ = false;
  std::optional<Error> error_;  // the first one; nothing goes on after it

  TemporaryFile file_;
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
  if (auto created = file_.create(folder_, handoff_prefix); !created) return created;
  buffer_.reserve(write_buffer_bytes);
  return {};
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
  const int32_t result = file_.write(bytes, offset);
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

  if (!go_on(file_.sync(), "sync the campaign to disk", folder_)) return refused();
  const int32_t renamed = file_.hand_over(path_);
  if (renamed == -EEXIST) {
    is_known_ = true;
    file_.discard();
    if (auto synced = sync_names(); !synced) return std::unexpected(synced.error());
    return Committed{.was_known = true};
  }
  if (!go_on(renamed, "hand the campaign over", path_)) return refused();
  if (auto synced = sync_names(); !synced) return std::unexpected(synced.error());
  file_.discard();
  return Committed{.was_known = false, .bytes = written_};
}

/// Also before an id is called known: who handed it over may have died before he could sync.
std::expected<void, Error> HandoffWriter::sync_names() {
  io::SyncDirectory sync;
  sync.path = folder_;
  if (go_on(io::run(proactor_, sync), "sync the folder", folder_)) return {};
  return refused();
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
