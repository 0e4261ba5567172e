#pragma once

#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::engine::intake {

/// A mistake in a users file, or why it cannot be read.
struct UsersError {
  unsigned line = 0;    // 0: of the file as a whole
  std::string message;  // never a hash or a password
};

/// Who may authenticate, and how their passwords hash: a file of `user:hash` lines as crypt(3)
/// writes hashes (`mkpasswd -m yescrypt`). Empty lines and lines that begin with `#` are passed
/// over. Immutable: shared by the threads that check passwords.
class Users {
 public:
  static constexpr size_t file_bytes_max = 16 << 20;

  /// Reads `path` whole; all mistakes at once. Refused when others than owner and group may do
  /// anything with it. Blocking.
  static std::expected<Users, std::vector<UsersError>> load(const std::string& path);
  static std::expected<Users, std::vector<UsersError>> parse(std::string_view text);

  /// Is this the user's password? Blocks for as long as the hash wants (yescrypt's default: some
  /// 30 ms of a core and 16 MiB): for a thread of its own. For a user that is not known the first
  /// user's hash is worked on, so that time does not tell who exists. Any number of threads.
  bool check(std::string_view user, std::string_view password) const;

  size_t size() const { return hashes_.size(); }

 private:
  Users() = default;

  std::map<std::string, std::string, std::less<>> hashes_;  // never empty
};

}  // namespace sluice::engine::intake
