#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/clock.h"
#include "io/op.h"
#include "io/proactor.h"
#include "spool/error.h"

namespace sluice::spool {

using Bytes = std::span<const std::byte>;

/// Who and when; in the header of the campaign's file (FORMAT.md, "Campaign file").
struct CampaignInfo {
  std::string id;    // what the submitter calls it: 1 to campaign_id_bytes_max octets of UTF-8
                     // without control characters
  uint64_t uid = 0;  // random, names the campaign in the journal
  io::WallTime accepted_at{};  // when the hand-off was made; expiry counts from here
  bool is_repeatable = true;   // false: nobody hands this id off again, and it need not stay known
};

inline constexpr size_t campaign_id_bytes_max = 80;
inline constexpr size_t entry_bytes_max = 256 * 1024;  // one recipient: address and fields
inline constexpr size_t block_bytes_target =
    16 * 1024;  // entries are gathered into blocks of about this size: the unit of reading

/// What a finished campaign came to; all that its file holds once every recipient has a fate.
struct CampaignSummary {
  uint64_t recipients = 0, delivered = 0, failed = 0, expired = 0, cancelled = 0, unreadable = 0,
           in_doubt = 0;
  io::WallTime finished_at{};
};

/// Writes a campaign beside the spool's others and hands it over whole. Blocking; for the
/// submitting process (which owns no spool lock). Until commit() returns nothing is visible to an
/// engine; if the process dies, its temporary file is swept by the next engine. Memory: a write
/// buffer of 1 MiB, 16 octets a block, and the groups' names.
class CampaignWriter {
 public:
  /// `spool` is created when it does not exist. An id that is already there is found here already
  /// (see commit()).
  static std::expected<std::unique_ptr<CampaignWriter>, Error> create(io::Proactor& proactor,
                                                                      const std::string& spool,
                                                                      CampaignInfo info);
  virtual ~CampaignWriter() = default;  // without commit(): the temporary file is removed

  /// Was `id` handed off before (waiting, running or finished)?
  virtual bool is_known() const = 0;

  /// Starts a group: all entries until the next call go to destination `name`. Names must not
  /// repeat.
  virtual std::expected<void, Error> begin_group(std::string_view name) = 0;

  /// Adds a recipient: opaque to the spool (engine/recipient.h). Recipients are numbered from 0 in
  /// the order added.
  virtual std::expected<void, Error> add(Bytes entry) = 0;

  struct Committed {
    bool was_known = false;  // the id had been handed off before: nothing was added
    uint64_t bytes = 0;      // size of the campaign's file
  };
  /// Stores `message` (opaque: engine/mail's compiled template and envelope), makes everything
  /// durable, and makes the campaign visible under its id by one rename that never replaces. On
  /// return it is on disk and an engine sees it, whole.
  virtual std::expected<Committed, Error> commit(Bytes message) = 0;
};

/// One destination's recipients: [first, first + count).
struct Group {
  std::string_view name;
  uint32_t first = 0, count = 0;
  std::string_view sender = {};  // of letters: NewMail::sender; else ""
};

/// Where a block of entries lies in the campaign's file.
struct BlockRef {
  uint64_t offset = 0;  // of its record
  uint32_t bytes = 0;   // the whole record, header included: what to read
  uint32_t first = 0;   // number of its first recipient
  uint32_t count = 0;
  uint64_t salt = 0;  // of the file: its checksums rest on it
};

/// A campaign that was handed off: its file stays open, its message, groups and block index are in
/// memory (16 octets a block of about 16 KiB); recipients are read block by block through the
/// shard's own Read operations. Immutable: shared by all shards.
class Campaign {
 public:
  virtual ~Campaign() = default;
  virtual const CampaignInfo& info() const = 0;
  virtual uint32_t recipients() const = 0;
  /// When its message was accepted: that of a campaign with all the others, of mail
  /// (mail_segment.h) each by itself.
  virtual io::WallTime arrival_of(uint32_t) const { return info().accepted_at; }
  /// How many recipients, from the first on, were accepted until `at`.
  virtual uint32_t arrived_until(io::WallTime at) const {
    return info().accepted_at <= at ? recipients() : 0;
  }
  virtual Bytes message() const = 0;
  virtual uint32_t group_count() const = 0;
  virtual Group group(uint32_t index) const = 0;
  /// All of them, by number: a random access range of Group.
  auto groups() const {
    return std::views::iota(uint32_t{0}, group_count()) |
           std::views::transform([this](uint32_t index) { return group(index); });
  }
  virtual uint32_t blocks() const = 0;
  virtual BlockRef block(uint32_t index) const = 0;
  /// The block that holds `recipient`. O(log blocks).
  virtual uint32_t block_of(uint32_t recipient) const = 0;
  /// Closed by the Spool (when the campaign is finished, or with the Spool), else by who opened it.
  virtual io::File file() const = 0;
  virtual const std::string& path() const = 0;
  virtual uint64_t bytes() const = 0;
};

/// Checks a block as it was read from the file, of a campaign or of a mail segment, and visits its
/// entries (views into `record`): `visit(number, entry)`. False, with nothing visited, when its
/// checksum or a length is wrong: those recipients are unreadable, the others are not touched by
/// it.
bool visit_block(const BlockRef& ref, Bytes record,
                 const std::function<void(uint32_t number, Bytes entry)>& visit);

/// Result of opening a file of campaigns/: a campaign to deliver, or the summary of a finished one.
struct OpenedCampaign {
  std::shared_ptr<const Campaign> campaign;  // nullptr when finished
  CampaignInfo info;
  CampaignSummary summary;  // when finished
};
using OpenedCallback = std::function<void(std::expected<OpenedCampaign, Error>)>;

/// Opens without blocking: the callback comes from a later turn of `proactor`. A few reads,
/// whatever the number of recipients.
void open_campaign(io::Proactor& proactor, const std::string& path, OpenedCallback callback);

}  // namespace sluice::spool
