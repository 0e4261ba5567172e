#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/sts/policy_book.h"

namespace sluice::engine::sts {

/// Policies on the disk, in SPOOL/sts/, a file for each domain (spool/FORMAT.md section 9), so that
/// a restart does not forget what a domain demands. A cache: what cannot be read is as if it were
/// not there, and is fetched again. One that owns the spool writes; anybody may read. Blocking.
class PolicyFolder {
 public:
  explicit PolicyFolder(const std::string& spool) : path_(spool + "/sts") {}

  /// All that are in force at `now`; files of others are unlinked.
  std::map<std::string, KeptPolicy> load(io::WallTime now) const;
  /// One domain's, in force or not.
  std::optional<KeptPolicy> read(const std::string& domain) const;
  /// Whole or not at all, whatever breaks when. False: the disk refuses.
  bool write(const std::string& domain, const KeptPolicy& kept) const;

 private:
  const std::string path_;
};

/// A file's content, and back; null when it is none.
std::string text_of(const KeptPolicy& kept);
std::optional<KeptPolicy> parse_kept(std::string_view text);

}  // namespace sluice::engine::sts
