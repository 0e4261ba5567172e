#include "spool/campaign.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "io/check.h"
#include "spool/campaign_file.h"
#include "spool/campaign_name.h"
#include "spool/disk_error.h"
#include "spool/mail_record.h"

namespace sluice::spool {
namespace {

/// A campaign's tail, read as a whole, is most of what one costs in memory; groups and index are
/// looked up in it.
class OpenCampaign final : public Campaign {
 public:
  OpenCampaign(Head head, std::string path, io::File file, std::unique_ptr<std::byte[]> octets,
               Tail tail)
      : head_(std::move(head)),
        path_(std::move(path)),
        file_(file),
        octets_(std::move(octets)),
        tail_(std::move(tail)) {}

  const CampaignInfo& info() const override { return head_.info; }
  uint32_t recipients() const override { return contents().recipients; }
  Bytes message() const override { return tail_.message; }
  uint32_t group_count() const override { return contents().groups; }
  Group group(uint32_t index) const override { return tail_.groups[index]; }
  uint32_t blocks() const override { return contents().blocks; }
  BlockRef block(uint32_t index) const override {
    return block_at(tail_.index, contents(), head_.salt, index);
  }
  uint32_t block_of(uint32_t recipient) const override;
  io::File file() const override { return file_; }
  const std::string& path() const override { return path_; }
  uint64_t bytes() const override { return contents().tail_offset + contents().tail_bytes; }

 private:
  const Contents& contents() const { return *head_.contents; }

  Head head_;
  std::string path_;
  io::File file_;
  std::unique_ptr<std::byte[]> octets_;
  Tail tail_;
};

uint32_t OpenCampaign::block_of(uint32_t recipient) const {
  CHECK(recipient < recipients());
  uint32_t low = 0, high = blocks();  // block(low).first <= recipient < block(high).first
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (block(middle).first <= recipient ? low : high) = middle;
  }
  return low;
}

/// One opening under way: open, head, tail. Lives until it has called back.
class Opening {
 public:
  Opening(io::Proactor& proactor, const std::string& path, OpenedCallback callback)
      : proactor_(proactor), path_(path), callback_(std::move(callback)) {
    open_.path = path_;
    open_.flags = O_RDONLY;
    open_.bind<&Opening::opened>(this);
    close_.bind<&Opening::closed>(this);
    proactor_.submit(open_);
  }

 private:
  void opened(io::Open&, const io::Completion& completion);
  void head_read(io::Read&, const io::Completion& completion);
  void tail_read(io::Read&, const io::Completion& completion);
  void closed(io::CloseFile&, const io::Completion&);

  void refuse(Error error);
  void refuse_damaged(std::string_view what) {
    refuse({ErrorCode::damaged, 0,
            fmt::format("{}: {} is damaged; the campaign is not delivered and its file left alone",
                        path_, what)});
  }
  void close() {
    close_.file = open_.file;
    proactor_.submit(close_);
  }
  void finish() {
    const std::unique_ptr<Opening> self(this);
    callback_(std::move(result_));
  }

  io::Proactor& proactor_;
  const std::string path_;
  OpenedCallback callback_;
  io::Open open_;
  io::Read read_;
  io::CloseFile close_;
  std::array<std::byte, head_bytes> head_octets_{};
  Head head_;
  std::unique_ptr<std::byte[]> octets_;
  std::expected<OpenedCampaign, Error> result_;
};

void Opening::opened(io::Open&, const io::Completion& completion) {
  if (completion.result < 0) {
    result_ = std::unexpected(disk_error("open", path_, completion.result));
    return finish();
  }
  read_.file = open_.file;
  read_.offset = 0;
  read_.bytes = head_octets_;
  read_.bind<&Opening::head_read>(this);
  proactor_.submit(read_);
}

void Opening::head_read(io::Read&, const io::Completion& completion) {
  if (completion.result < 0) return refuse(disk_error("read", path_, completion.result));
  auto head = decode_head(Bytes(head_octets_).first(static_cast<size_t>(completion.result)));
  if (!head) {
    if (head.error() != ErrorCode::newer_version) return refuse_damaged("its head");
    return refuse(
        {ErrorCode::newer_version, 0,
         fmt::format("{}: written by a newer Sluice; left untouched: upgrade this one", path_)});
  }
  head_ = std::move(*head);
  if (campaign_file_name(head_.info.id) != path_.substr(path_.rfind('/') + 1))
    return refuse({ErrorCode::damaged, 0,
                   fmt::format("{}: holds campaign '{}' and is not named so; left alone", path_,
                               head_.info.id)});
  if (head_.summary) {
    result_ = OpenedCampaign{nullptr, head_.info, *head_.summary};
    return close();
  }
  const uint64_t tail_bytes = head_.contents->tail_bytes;
  if (tail_bytes > 3 * record_bytes(payload_bytes_max)) return refuse_damaged("its head");
  octets_ = std::make_unique_for_overwrite<std::byte[]>(tail_bytes);
  read_.offset = head_.contents->tail_offset;
  read_.bytes = {octets_.get(), tail_bytes};
  read_.bind<&Opening::tail_read>(this);
  proactor_.submit(read_);
}

void Opening::tail_read(io::Read&, const io::Completion& completion) {
  if (completion.result < 0) return refuse(disk_error("read", path_, completion.result));
  auto tail = decode_tail(Bytes(read_.bytes).first(static_cast<size_t>(completion.result)),
                          *head_.contents, head_.salt);
  if (!tail) return refuse_damaged("its message or index");
  const CampaignInfo info = head_.info;
  result_ = OpenedCampaign{std::make_shared<OpenCampaign>(std::move(head_), path_, open_.file,
                                                          std::move(octets_), std::move(*tail)),
                           info,
                           {}};
  finish();
}

void Opening::refuse(Error error) {
  result_ = std::unexpected(std::move(error));
  close();
}

void Opening::closed(io::CloseFile&, const io::Completion&) { finish(); }

/// Takes an entry off the front of `payload`.
std::optional<Bytes> take_entry(Bytes& payload) {
  uint64_t bytes;
  if (!get_leb128(payload, bytes) || bytes > payload.size()) return std::nullopt;
  const Bytes entry = payload.first(bytes);
  payload = payload.subspan(bytes);
  return entry;
}

}  // namespace

bool visit_block(const BlockRef& ref, Bytes record,
                 const std::function<void(uint32_t number, Bytes entry)>& visit) {
  if (const auto mail = decode_mail(ref, record)) {
    mail->visit_recipients(
        [&](uint32_t number, const MailRecipient& recipient) { visit(number, recipient.entry); });
    return true;
  }
  if (record.size() != ref.bytes || record.size() < record_header_bytes) return false;
  const Salt salt = Salt::from(ref.salt);
  const auto header = decode_record_header(record, salt);
  if (!header || header->type != RecordType::block || header->number != ref.first ||
      record_bytes(header->length) != ref.bytes)
    return false;
  const Bytes payload = record.subspan(record_header_bytes, header->length);
  if (!is_payload_sound(*header, payload, salt)) return false;

  uint32_t count = 0;
  for (Bytes rest = payload; !rest.empty(); ++count)
    if (!take_entry(rest)) return false;
  if (count != ref.count) return false;
  Bytes rest = payload;
  for (uint32_t i = 0; i < count; ++i) visit(ref.first + i, *take_entry(rest));
  return true;
}

void open_campaign(io::Proactor& proactor, const std::string& path, OpenedCallback callback) {
  new Opening(proactor, path, std::move(callback));  // deletes itself
}

}  // namespace sluice::spool
