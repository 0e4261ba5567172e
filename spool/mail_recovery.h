#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "io/proactor.h"
#include "spool/error.h"
#include "spool/mail_segment.h"
#include "spool/recovery.h"

namespace sluice::spool {

/// The mail that earlier runs left.
struct RecoveredMail {
  std::vector<std::shared_ptr<const MailSegment>> segments;  // sealed; their files are open
  std::vector<Damage> damages;
  uint64_t next_sequence = 1;
  uint64_t torn_bytes = 0;  // written, never acknowledged
};

/// Opens every segment of `mail/`: reads the index of each that has one, the messages of the others
/// (FORMAT.md section 7.3), cuts torn tails, passes over damage and reports it; segments without a
/// message are unlinked. On return what it found is durable. Running it again finds the same.
/// `read_only` neither cuts nor writes, and passes over files that go meanwhile: a look beside an
/// engine. Blocking. Time: that of reading the indexes (24 octets a
/// message), and whole each segment that a kill left open (one a shard, of at most 64 MiB).
std::expected<RecoveredMail, Error> recover_mail(io::Proactor& proactor, const std::string& spool,
                                                 bool read_only = false);

/// `newer_version` when a segment of `mail/` was written by a later Sluice: to be asked before
/// anything of the spool is cut. Blocking; reads the header of each.
std::expected<void, Error> check_mail_versions(io::Proactor& proactor, const std::string& spool);

}  // namespace sluice::spool
