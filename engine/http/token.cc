#include "engine/http/token.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/mem.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/mail/charset.h"

namespace sluice::engine::http {
namespace {

std::array<uint8_t, 32> digest_of(std::string_view text) {
  std::array<uint8_t, 32> digest;
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data());
  return digest;
}

}  // namespace

Token::Token(std::string_view secret) : digest_(digest_of(secret)) {}

std::expected<Token, std::string> Token::load(const std::string& path) {
  const auto wrong = [&](std::string_view what) {
    return std::unexpected(fmt::format("{}: {}", path, what));
  };
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return wrong(std::strerror(errno));
  struct stat status{};
  std::array<char, bytes_max + 2> octets;
  const bool is_known = fstat(descriptor, &status) == 0;
  const ssize_t size = read(descriptor, octets.data(), octets.size());
  const int error = errno;
  close(descriptor);
  if (!is_known || size < 0) return wrong(std::strerror(error));
  if ((status.st_mode & S_IRWXO) != 0)
    return wrong("others may use this file, which holds a secret; chmod o= it");
  std::string_view text(octets.data(), static_cast<size_t>(size));
  text = text.substr(0, text.find_first_of("\r\n"));
  if (text.size() < bytes_min || text.size() > bytes_max)
    return wrong(
        fmt::format("its first line is the token, of {} to {} octets", bytes_min, bytes_max));
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; }))
    return wrong("a token is of printable US-ASCII without blanks");
  return Token(text);
}

bool Token::is_in(std::string_view authorization) const {
  constexpr std::string_view scheme = "Bearer ";
  if (!mail::equals_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return false;
  const auto digest = digest_of(authorization.substr(scheme.size()));
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest.size()) == 0;
}

}  // namespace sluice::engine::http
