#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "io/uring.h"
#include "spool/campaign.h"
#include "spool/journal.h"
#include "spool/recovery.h"

namespace sluice::spool {

inline Bytes octets(std::string_view text) { return std::as_bytes(std::span(text)); }
inline std::string text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline std::vector<std::byte> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  const Bytes bytes = octets(all);
  return {bytes.begin(), bytes.end()};
}

inline void write_file(const std::string& path, Bytes bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

/// One bit of a file is wrong while this is in scope.
class FlippedBit {
 public:
  FlippedBit(const std::string& path, size_t octet, unsigned bit)
      : file_(path, std::ios::in | std::ios::out | std::ios::binary),
        octet_(octet),
        mask_(static_cast<char>(1 << bit)) {
    flip();
  }
  FlippedBit(const FlippedBit&) = delete;
  FlippedBit& operator=(const FlippedBit&) = delete;
  ~FlippedBit() { flip(); }

 private:
  void flip() {
    char value = 0;
    file_.seekg(static_cast<std::streamoff>(octet_)).get(value);
    file_.seekp(static_cast<std::streamoff>(octet_)).put(static_cast<char>(value ^ mask_)).flush();
  }
  std::fstream file_;
  size_t octet_;
  char mask_;
};

/// A folder of its own and a ring.
class SpoolTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "spool-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
    auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
    ASSERT_TRUE(ring) << ring.error().message;
    ring_ = std::move(*ring);
  }
  void TearDown() override {
    ring_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string spool() const { return folder_ + "/spool"; }
  std::vector<std::string> names(const std::string& part) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(spool() + "/" + part))
      found.push_back(entry.path().filename().string());
    std::ranges::sort(found);
    return found;
  }

  static io::WallTime at_ms(int64_t ms) { return io::WallTime(std::chrono::milliseconds(ms)); }

  /// Writes a campaign of these destinations and entries.
  std::expected<CampaignWriter::Committed, Error> hand_off(
      io::Proactor& proactor, const std::string& id,
      const std::map<std::string, std::vector<std::string>>& groups,
      std::string_view message = "message", uint64_t uid = 0) {
    auto writer = CampaignWriter::create(
        proactor, spool(), {.id = id, .uid = uid, .accepted_at = at_ms(1'700'000'000'000)});
    if (!writer) return std::unexpected(writer.error());
    for (const auto& [name, entries] : groups) {
      if (auto begun = (*writer)->begin_group(name); !begun) return std::unexpected(begun.error());
      for (const std::string& entry : entries)
        if (auto added = (*writer)->add(octets(entry)); !added)
          return std::unexpected(added.error());
    }
    return (*writer)->commit(octets(message));
  }

  static std::expected<OpenedCampaign, Error> open(io::Proactor& proactor,
                                                   const std::string& path) {
    std::expected<OpenedCampaign, Error> result;
    bool done = false;
    open_campaign(proactor, path, [&](auto opened) {
      result = std::move(opened);
      done = true;
    });
    while (!done) proactor.wait(io::never, 64);
    return result;
  }
  static void close(io::Proactor& proactor, io::File file) {
    io::CloseFile op;
    op.file = file;
    io::run(proactor, op);
  }

  /// All entries by number; those of a block that is not whole are missing.
  static std::map<uint32_t, std::string> entries(io::Proactor& proactor, const Campaign& campaign) {
    std::map<uint32_t, std::string> all;
    for (uint32_t i = 0; i < campaign.blocks(); ++i) {
      const BlockRef ref = campaign.block(i);
      std::vector<std::byte> record(ref.bytes);
      io::Read read;
      read.file = campaign.file();
      read.offset = ref.offset;
      read.bytes = record;
      const int32_t bytes = io::run(proactor, read);
      record.resize(static_cast<size_t>(std::max(bytes, 0)));
      visit_block(ref, record, [&](uint32_t number, Bytes entry) { all[number] = text(entry); });
    }
    return all;
  }

  std::string folder_;
  std::unique_ptr<io::Proactor> ring_;
};

/// Remembers what a journal told.
struct JournalWitness : Journal::Listener {
  void journal_committed(uint64_t position) override { committed = position; }
  void journal_stalled(const Error& error) override {
    ++stalls;
    refusal = error;
  }
  void journal_resumed() override { ++resumes; }

  uint64_t committed = 0;
  int stalls = 0, resumes = 0;
  Error refusal{};
};

}  // namespace sluice::spool
