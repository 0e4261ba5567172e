#include "spool/recovery_file.h"

#include <algorithm>
#include <cerrno>

#include "spool/disk_error.h"

namespace sluice::spool {
namespace {

/// What the disk cannot read is passed over in pieces of this size.
constexpr size_t piece_bytes = 4096;

}  // namespace

RecoveryFile::RecoveryFile(io::Proactor& proactor, const std::string& path, int flags)
    : proactor_(proactor), path_(path) {
  open_.path = path;
  open_.flags = flags;
  result_ = io::run(proactor, open_);
}

RecoveryFile::~RecoveryFile() {
  if (!open_.file.is_open()) return;
  io::CloseFile close;
  close.file = open_.file;
  io::run(proactor_, close);
}

std::expected<size_t, Error> RecoveryFile::fill(uint64_t end, uint64_t offset,
                                                std::span<std::byte> out,
                                                std::vector<Damage>& damages) {
  const auto read = [&](uint64_t at, std::span<std::byte> bytes) {
    io::Read op;
    op.file = open_.file;
    op.offset = at;
    op.bytes = bytes;
    return io::run(proactor_, op);
  };
  out = out.first(std::min<uint64_t>(out.size(), end - std::min(end, offset)));
  if (out.empty()) return 0;
  const int32_t result = read(offset, out);
  if (result >= 0) return static_cast<size_t>(result);
  if (result != -EIO && result != -EUCLEAN && result != -EBADMSG)
    return std::unexpected(disk_error("read", path_, result));
  for (size_t at = 0; at < out.size(); at += piece_bytes) {
    const std::span<std::byte> piece = out.subspan(at, std::min(piece_bytes, out.size() - at));
    if (read(offset + at, piece) >= 0) continue;
    std::ranges::fill(piece, std::byte{});
    is_unreadable_ = true;
    damages.push_back({path_, offset + at, piece.size(), "the disk cannot read it"});
  }
  return out.size();
}

std::expected<void, Error> RecoveryFile::read(SegmentReader& reader, uint64_t& end,
                                              std::span<std::byte> window,
                                              std::vector<Damage>& damages,
                                              const SegmentReader::Visit& visit) {
  uint64_t offset = file_header_bytes;
  size_t held = 0;  // octets in the window not done with
  while (offset < end) {
    const auto filled = fill(end, offset, window.subspan(held), damages);
    if (!filled) return std::unexpected(filled.error());
    offset += *filled;
    if (*filled == 0) end = offset;
    held += *filled;
    const size_t done = reader.read(window.first(held), offset >= end, visit);
    std::ranges::copy(window.first(held).subspan(done), window.begin());
    held -= done;
  }
  return {};
}

std::expected<void, Error> RecoveryFile::settle(const Settlement& settlement,
                                                std::span<std::byte> window) {
  io::Truncate truncate;
  truncate.file = open_.file;
  truncate.size = settlement.cut_at;
  if (settlement.cut_at != UINT64_MAX)
    if (const int32_t result = io::run(proactor_, truncate); result < 0)
      return std::unexpected(disk_error("cut the torn tail", path_, result));
  if (auto written = write_again(settlement, window); !written) return written;
  io::Datasync datasync;
  datasync.file = open_.file;
  if (const int32_t result = io::run(proactor_, datasync); result < 0)
    return std::unexpected(disk_error("sync", path_, result));
  return {};
}

/// A sync that failed before the kill took the pages for written: only new writes are synced.
std::expected<void, Error> RecoveryFile::write_again(const Settlement& settlement,
                                                     std::span<std::byte> window) {
  io::Read read;
  io::Write write;
  read.file = write.file = open_.file;
  for (uint64_t at = settlement.doubtful_from; at < settlement.doubtful_to;) {
    const size_t wanted = std::min<uint64_t>(window.size(), settlement.doubtful_to - at);
    read.offset = write.offset = at;
    read.bytes = window.first(wanted);
    const int32_t result = io::run(proactor_, read);
    if (result <= 0) return std::unexpected(disk_error("read", path_, result < 0 ? result : -EIO));
    write.bytes = window.first(static_cast<size_t>(result));
    if (const int32_t written = io::run(proactor_, write); written < 0)
      return std::unexpected(disk_error("write", path_, written));
    at += static_cast<uint64_t>(result);
  }
  return {};
}

}  // namespace sluice::spool
