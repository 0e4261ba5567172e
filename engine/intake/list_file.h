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

/// A file that the operator named, outside the spool, or octets in its place; read by blocking
/// calls: the submitting process or thread has nothing else to do.
class ListFile {
 public:
  /// "-" is standard input. The error is an errno.
  static std::expected<ListFile, int> open(const std::string& path);
  /// One that is open, from where it stands; closed with this.
  static ListFile adopt(int descriptor) { return ListFile(descriptor, true); }
  static ListFile holding(std::string octets);
  ListFile(ListFile&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)),
        is_owned_(other.is_owned_),
        octets_(std::move(other.octets_)),
        octets_read_(other.octets_read_) {}
  ListFile& operator=(ListFile&&) = delete;
  ~ListFile();

  /// Fills `out` whole unless the file ends before; 0 is its end. The error is an errno.
  std::expected<size_t, int> read(std::span<char> out);

 private:
  ListFile(int descriptor, bool is_owned) : descriptor_(descriptor), is_owned_(is_owned) {}
  int descriptor_;  // -1: octets_ instead
  bool is_owned_;
  std::string octets_;
  size_t octets_read_ = 0;
};

}  // namespace sluice::engine::intake
