#include "engine/intake/users.h"

#include <crypt.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <memory>
#include <utility>

#include "engine/smtp/auth_exchange.h"

namespace sluice::engine::intake {
namespace {

/// Without a timing that tells how much of it is right.
bool is_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

/// Methods that are taken, and the octets behind a hash's last `$` when it is whole: crypt(3)
/// itself takes a setting without its hash, with which no password is right.
constexpr std::pair<std::string_view, size_t> methods[] = {
    {"$y$", 43}, {"$gy$", 43}, {"$7$", 43}, {"$2b$", 53}, {"$2y$", 53}, {"$6$", 86}, {"$5$", 43}};

/// What is wrong with a hash; "" for nothing.
std::string_view wrong_with(const std::string& hash) {
  if (hash.find(':') != hash.npos) return "has a third field; write user:hash";
  const int salt = crypt_checksalt(hash.c_str());
  if (salt == CRYPT_SALT_INVALID)
    return "has no hash of crypt(3); make one with: mkpasswd -m yescrypt";
  const auto* const method = std::ranges::find_if(
      methods, [&hash](const auto& known) { return hash.starts_with(known.first); });
  if (method == std::end(methods))
    return "has a password or a weak hash; make one with: mkpasswd -m yescrypt";
  const bool is_whole = hash.size() - hash.rfind('$') - 1 == method->second;
  return is_whole ? "" : "has a hash that is cut off";
}

std::string_view wrong_with_user(std::string_view user) {
  if (user.empty()) return "has no user before the colon";
  if (user.size() > smtp::AuthExchange::user_bytes_max) return "has a user of over 255 octets";
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; };
  if (std::ranges::any_of(user, is_control)) return "has a control character in its user";
  return {};
}

std::unexpected<std::vector<UsersError>> failure(std::string message) {
  return std::unexpected(std::vector{UsersError{.message = std::move(message)}});
}

/// What is wrong with the file behind `fd`, else "" and its content in `text`.
std::string read_private_file(int fd, std::string& text) {
  struct stat status{};
  if (fstat(fd, &status) != 0) return fmt::format("cannot be read: {}", strerror(errno));
  if (!S_ISREG(status.st_mode)) return "is not a file";
  if ((status.st_mode & S_IRWXO) != 0)
    return fmt::format("is open to others (mode {:o}); chmod o= makes it private",
                       status.st_mode & 07777);
  if (static_cast<uint64_t>(status.st_size) > Users::file_bytes_max) return "is larger than 16 MiB";
  text.resize(static_cast<size_t>(status.st_size));
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t octets = read(fd, text.data() + at, text.size() - at);
    if (octets < 0 && errno == EINTR) continue;
    if (octets < 0) return fmt::format("cannot be read: {}", strerror(errno));
    if (octets == 0) break;
    at += static_cast<size_t>(octets);
  }
  text.resize(at);
  return {};
}

}  // namespace

std::expected<Users, std::vector<UsersError>> Users::load(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failure(fmt::format("cannot be read: {}", strerror(errno)));
  std::string text;
  std::string error = read_private_file(fd, text);
  close(fd);
  if (!error.empty()) return failure(std::move(error));
  return parse(text);
}

std::expected<Users, std::vector<UsersError>> Users::parse(std::string_view text) {
  Users users;
  std::vector<UsersError> errors;
  for (unsigned number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const size_t colon = line.find(':');
    std::string_view wrong;
    if (colon == line.npos || line.find('\0') != line.npos) {
      wrong = "is not user:hash";
    } else {
      const std::string hash(line.substr(colon + 1));
      wrong = wrong_with_user(line.substr(0, colon));
      if (wrong.empty()) wrong = wrong_with(hash);
      if (wrong.empty() && !users.hashes_.emplace(line.substr(0, colon), hash).second)
        wrong = "names a user again";
    }
    if (!wrong.empty()) errors.push_back({.line = number, .message = std::string(wrong)});
  }
  if (!errors.empty()) return std::unexpected(std::move(errors));
  if (users.hashes_.empty()) return failure("holds no user: nobody could authenticate");
  return users;
}

bool Users::check(std::string_view user, std::string_view password) const {
  const auto known = hashes_.find(user);
  const std::string& wanted = known == hashes_.end() ? hashes_.begin()->second : known->second;
  const auto work = std::make_unique<crypt_data>();
  std::string terminated(password);
  const char* const hash = crypt_r(terminated.c_str(), wanted.c_str(), work.get());
  const bool is_right = hash != nullptr && is_equal(hash, wanted) && known != hashes_.end() &&
                        password.find('\0') == password.npos;
  explicit_bzero(work.get(), sizeof *work);
  explicit_bzero(terminated.data(), terminated.size());
  return is_right;
}

}  // namespace sluice::engine::intake
