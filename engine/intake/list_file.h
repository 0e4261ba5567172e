#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <utility>

namespace sluice::engine::intake {

/// Why a list cannot be read or used, as the operator sees it: `list.csv:17: reason`.
struct ListError {
  enum class Kind : uint8_t { data, missing, not_allowed, io };
  Kind kind = Kind::data;
  std::string text;
};

/// That a file cannot be opened or read: `list.csv: cannot be read: No such file or directory`.
ListError unreadable(const std::string& name, int error);

/// A file that the operator named, outside the spool, read by blocking calls: the submitting
/// process has nothing else to do.
class ListFile {
 public:
  /// "-" is standard input. The error is an errno.
  static std::expected<ListFile, int> open(const std::string& path);
  ListFile(ListFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), is_owned_(other.is_owned_) {}
  ListFile& operator=(ListFile&&) = delete;
  ~ListFile();

  /// Fills `out` whole unless the file ends before; 0 is its end. The error is an errno.
  std::expected<size_t, int> read(std::span<char> out);

 private:
  ListFile(int descriptor, bool is_owned) : descriptor_(descriptor), is_owned_(is_owned) {}
  int descriptor_;
  bool is_owned_;
};

}  // namespace sluice::engine::intake
