#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "io/proactor.h"
#include "spool/error.h"

namespace sluice::spool {

/// A file on its way into the spool: under a name of its own and a lock (FORMAT.md section 4.2)
/// until hand_over() gives it the name that engines look for. Destroyed before that, it is
/// unlinked; when the process dies, an engine's sweep finds its lock free. Blocking; for a process
/// that owns no spool lock. What an operation came to is negative, a negated errno, when it failed.
class TemporaryFile {
 public:
  explicit TemporaryFile(io::Proactor& proactor) : proactor_(proactor) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { discard(); }

  /// Creates it in `folder`, named `prefix` and sixteen hexadecimal digits, and locks it. Once.
  std::expected<void, Error> create(const std::string& folder, std::string_view prefix);
  int32_t write(std::span<const std::byte> bytes, uint64_t offset);
  /// Makes what was written durable.
  int32_t sync();
  /// Renames it to `path`, which never replaces: -EEXIST when that is there. The name is durable
  /// when its folder is synced.
  int32_t hand_over(const std::string& path);
  /// Lets the file go, and the lock with it; unlinks it while its name is temporary.
  void discard();

 private:
  std::expected<bool, Error> try_to_create(const std::string& path);

  io::Proactor& proactor_;
  std::string path_;  // while its name is temporary
  io::File file_;
};

}  // namespace sluice::spool
