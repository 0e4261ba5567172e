#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <utility>

namespace sluice::engine::intake {

/// A scratch file without a name: whatever ends the process, nothing of it stays. Errors are
/// errnos. Blocking.
class SpillFile {
 public:
  static std::expected<SpillFile, int> create(const std::string& folder);
  SpillFile(SpillFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  SpillFile& operator=(SpillFile&&) = delete;
  ~SpillFile();

  std::expected<void, int> write(uint64_t offset, std::span<const char> bytes);
  /// A descriptor of it that stands at its begin, the caller's to close; one at a time.
  std::expected<int, int> reader() const;
  /// Fills `out` whole; a file that is shorter is EIO.
  std::expected<void, int> read(uint64_t offset, std::span<char> out) const;

 private:
  explicit SpillFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace sluice::engine::intake
