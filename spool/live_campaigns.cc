#include "spool/live_campaigns.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <unordered_set>

#include "spool/campaign_file.h"
#include "spool/disk_error.h"
#include "spool/mail_name.h"

namespace sluice::spool {
namespace {

/// What campaigns/ says of uids.
struct Census {
  std::unordered_set<uint64_t> live, finished;
  bool is_complete = true;  // every file could be read

  bool is_over(uint64_t uid) const {
    return finished.contains(uid) || (is_complete && !live.contains(uid));
  }
};

std::expected<Head, ErrorCode> read_head(io::Proactor& proactor, const std::string& path) {
  io::Open open;
  open.path = path;
  open.flags = O_RDONLY;
  if (io::run(proactor, open) < 0) return std::unexpected(ErrorCode::io);
  std::array<std::byte, head_bytes> octets{};
  io::Read read;
  read.file = open.file;
  read.bytes = octets;
  const int32_t result = io::run(proactor, read);
  io::CloseFile close;
  close.file = open.file;
  io::run(proactor, close);
  if (result < 0) return std::unexpected(ErrorCode::io);
  return decode_head(Bytes(octets).first(static_cast<size_t>(result)));
}

std::expected<Census, Error> take_census(io::Proactor& proactor, const std::string& folder) {
  // Who renamed a summary may have been killed before his sync: with the power the campaign would
  // come back, and must find its fates.
  io::SyncDirectory sync;
  sync.path = folder;
  if (const int32_t synced = io::run(proactor, sync); synced < 0)
    return std::unexpected(disk_error("sync the folder", folder, synced));
  io::ListDirectory list;
  list.path = folder;
  if (const int32_t listed = io::run(proactor, list); listed < 0)
    return std::unexpected(disk_error("list the campaigns", folder, listed));
  Census census;
  for (const std::string& name : list.names) {
    if (name.starts_with('.')) continue;
    const auto head = read_head(proactor, folder + "/" + name);
    if (!head)
      census.is_complete = false;
    else
      (head->summary ? census.finished : census.live).insert(head->info.uid);
  }
  return census;
}

/// What has a file there is live; one that was finished has none.
std::expected<void, Error> count_mail(io::Proactor& proactor, const std::string& folder,
                                      Census& census) {
  // As with a summary: who unlinked a segment may have been killed before his sync.
  io::SyncDirectory sync;
  sync.path = folder;
  if (const int32_t synced = io::run(proactor, sync); synced < 0)
    return std::unexpected(disk_error("sync the folder", folder, synced));
  io::ListDirectory list;
  list.path = folder;
  if (const int32_t listed = io::run(proactor, list); listed < 0)
    return std::unexpected(disk_error("list the mail", folder, listed));
  for (const std::string& name : list.names)
    if (const auto segment = MailName::parse(name)) census.live.insert(segment->uid);
  return {};
}

}  // namespace

std::expected<void, Error> drop_finished(io::Proactor& proactor, const std::string& spool,
                                         Recovered& recovered) {
  if (recovered.segments.empty()) return {};
  auto census = take_census(proactor, spool + "/campaigns");
  if (!census) return std::unexpected(census.error());
  const std::string mail = fmt::format("{}/{}", spool, mail_folder);
  if (auto counted = count_mail(proactor, mail, *census); !counted)
    return std::unexpected(counted.error());
  const auto is_over = [&](uint64_t uid) { return census->is_over(uid); };
  std::erase_if(recovered.campaigns, [&](const auto& entry) { return is_over(entry.first); });
  std::erase_if(recovered.segments, [&](SealedSegment& segment) {
    std::erase_if(segment.campaigns, is_over);
    if (!segment.campaigns.empty()) return false;
    io::Unlink unlink;
    unlink.path = segment.path;
    return io::run(proactor, unlink) == 0;
  });
  return {};
}

}  // namespace sluice::spool
