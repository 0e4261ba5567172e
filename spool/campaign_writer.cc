#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "io/check.h"
#include "spool/campaign.h"
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
  void end_block();
  void end_group();
  void put_record(RecordType type, Bytes payload);
  void flush();
  void write(Bytes bytes, uint64_t offset);
  std::expected<void, Error> sync_names();
  void discard();
  bool go_on(int32_t result, std::string_view what, const std::string& path);
  std::unexpected<Error> refused() const { return std::unexpected(*error_); }
  uint64_t bytes() const { return written_ + buffer_.size(); }

  io::Proactor& proactor_;
  const std::string folder_, path_;
  CampaignInfo info_;
  bool is_known_ = false;
  std::optional<Error> error_;  // the first one; nothing goes on after it

  std::string temporary_;  // path, while it exists
  io::File file_;
  Salt salt_;
  std::vector<std::byte> buffer_;
  uint64_t written_ = 0;  // octets of the file before buffer_
  std::optional<SegmentWriter> block_;
  uint32_t block_first_ = 0;
  Contents contents_;
  std::string group_name_;
  uint32_t group_first_ = 0;
  std::vector<std::byte> groups_, index_;  // payloads of their records
};

std::expected<void, Error> HandoffWriter::start() {
  io::Stat stat;
  stat.path = path_;
  const int32_t found = io::run(proactor_, stat);
  is_known_ = found == 0;
  if (is_known_) return sync_names();
  if (found != -ENOENT) return std::unexpected(disk_error("look for the campaign", path_, found));
  salt_ = Salt::from(proactor_.random());
  while (info_.uid == 0) info_.uid = proactor_.random();
  for (;;) {
    const auto created = create_temporary();
    if (!created) return std::unexpected(created.error());
    if (*created) break;
  }
  buffer_.reserve(write_buffer_bytes + block_record_bytes_max);
  buffer_.resize(head_bytes);
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
  end_group();
  group_name_ = name;
  return {};
}

void HandoffWriter::end_group() {
  if (contents_.recipients == group_first_) return;
  put_leb128(groups_, contents_.recipients - group_first_);
  put_leb128(groups_, group_name_.size());
  const Bytes name = std::as_bytes(std::span(group_name_));
  groups_.insert(groups_.end(), name.begin(), name.end());
  ++contents_.groups;
  group_first_ = contents_.recipients;
}

std::expected<void, Error> HandoffWriter::add(Bytes entry) {
  if (error_) return refused();
  if (is_known_) return {};
  if (entry.size() > entry_bytes_max)
    error_ = Error{ErrorCode::not_allowed, 0,
                   fmt::format("recipient {}: its fields take {} octets; at most {} are possible",
                               contents_.recipients, entry.size(), entry_bytes_max)};
  if (contents_.recipients == UINT32_MAX)
    error_ = Error{ErrorCode::not_allowed, 0,
                   fmt::format("a campaign has at most {} recipients; make two", UINT32_MAX)};
  if (error_) return refused();

  if (block_ && block_->payload_bytes() + entry.size() + 3 > block_bytes_target) end_block();
  if (error_) return refused();
  if (!block_) {
    block_.emplace(buffer_, salt_).begin_record();
    block_first_ = contents_.recipients;
  }
  block_->put_number(entry.size());
  block_->put(entry);
  ++contents_.recipients;
  return {};
}

void HandoffWriter::end_block() {
  if (!block_) return;
  const auto bytes = static_cast<uint32_t>(record_bytes(block_->payload_bytes()));
  block_->end_record(RecordType::block, block_first_);
  block_.reset();
  ++contents_.blocks;
  SegmentWriter index(index_, salt_);
  index.put_fixed(this->bytes() - bytes);
  index.put_fixed(block_first_);
  index.put_fixed(bytes);
  if (buffer_.size() >= write_buffer_bytes) flush();
}

/// A record of the tail, whose payload may be large: it is written from where it lies.
void HandoffWriter::put_record(RecordType type, Bytes payload) {
  if (payload.size() > payload_bytes_max && !error_)
    error_ = Error{ErrorCode::not_allowed, 0,
                   fmt::format("campaign '{}': its message or its list of destinations takes "
                               "{:.0f} MiB; at most {:.0f} are possible",
                               info_.id, static_cast<double>(payload.size()) / mebibyte,
                               static_cast<double>(payload_bytes_max) / mebibyte)};
  if (error_) return;
  const size_t at = buffer_.size();
  buffer_.resize(at + record_header_bytes);
  encode_record_header(std::span(buffer_).subspan(at), salt_, type, 0, payload);
  flush();
  write(payload, written_);
  written_ += payload.size();
  buffer_.resize(padded(payload.size()) - payload.size());
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
        contents_.recipients);
}

bool HandoffWriter::go_on(int32_t result, std::string_view what, const std::string& path) {
  if (result < 0 && !error_) error_ = disk_error(what, path, result);
  return !error_;
}

std::expected<CampaignWriter::Committed, Error> HandoffWriter::commit(Bytes message) {
  if (is_known_) return Committed{.was_known = true};
  end_block();
  end_group();
  contents_.tail_offset = bytes();
  put_record(RecordType::message, message);
  put_record(RecordType::groups, groups_);
  put_record(RecordType::index, index_);
  flush();
  contents_.tail_bytes = written_ - contents_.tail_offset;
  write(encode_head({.salt = salt_, .info = info_, .contents = contents_}), 0);
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
