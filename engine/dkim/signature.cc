#include "engine/dkim/signature.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

#include "engine/mail/base64.h"

namespace sluice::engine::dkim {
namespace {

constexpr std::string_view field_name = "DKIM-Signature";
constexpr std::string_view fold = "\r\n\t";
constexpr size_t code_line_bytes = 72;

void update(SHA256_CTX& sha, std::string_view octets) {
  SHA256_Update(&sha, octets.data(), octets.size());
}

std::string_view text(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// What a signature signs: the message's fields, and its own without what comes behind b= (RFC 6376
/// section 3.7). `field`: from its name to `b=`, whose lines are folded at one tab.
Digest digest_of(const SignedHeader& header, std::string_view field) {
  SHA256_CTX sha;
  SHA256_Init(&sha);
  header.for_each_octets([&sha](std::string_view octets) { update(sha, octets); });
  update(sha, "dkim-signature:");
  std::string_view value = field.substr(field_name.size() + 2);
  for (size_t at; (at = value.find(fold)) != value.npos; value.remove_prefix(at + fold.size())) {
    update(sha, value.substr(0, at));
    update(sha, " ");
  }
  update(sha, value);
  Digest digest;
  SHA256_Final(digest.data(), &sha);
  return digest;
}

void append_lines(std::string& out, std::string_view code) {
  for (; code.size() > code_line_bytes; code.remove_prefix(code_line_bytes)) {
    out += code.substr(0, code_line_bytes);
    out += fold;
  }
  out += code;
}

}  // namespace

void append_signature(std::string& out, const Signer& signer, const SignedHeader& header,
                      const Digest& body_hash, io::WallTime now) {
  const size_t begin = out.size();
  const auto seconds = [](io::WallTime time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  };
  fmt::format_to(std::back_inserter(out), "{}: v=1; a={}; c=relaxed/relaxed;{}d={}; s={};{}t={};",
                 field_name, name(signer.key->algorithm()), fold, signer.domain, signer.selector,
                 fold, seconds(now));
  if (signer.lifetime > io::Duration::zero())
    fmt::format_to(std::back_inserter(out), " x={};", seconds(now + signer.lifetime));
  out += fold;
  out += "h=";
  header.append_names(out, 10);
  out += ';';
  out += fold;
  out += "bh=";
  mail::append_base64(out, text(body_hash));
  out += ';';
  out += fold;
  out += "b=";
  std::array<char, Key::signature_bytes_max> signature;
  signer.key->sign(digest_of(header, std::string_view(out).substr(begin)), signature.data());
  std::string code;
  mail::append_base64(code, {signature.data(), signer.key->signature_bytes()});
  append_lines(out, code);
  out += "\r\n";
}

size_t signature_bytes_about(const Signer& signer) {
  constexpr size_t of_the_rest = 380;
  return of_the_rest + signer.domain.size() + signer.selector.size() +
         mail::base64_bytes(signer.key->signature_bytes());
}

}  // namespace sluice::engine::dkim
