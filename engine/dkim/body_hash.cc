#include "engine/dkim/body_hash.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

namespace sluice::engine::dkim {

/// Gathers octets, so that SHA-256 gets many at once.
class BodyHash::Output {
 public:
  explicit Output(SHA256_CTX& sha) : sha_(sha) {}
  ~Output() { flush(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void put(char c) {
    if (size_ == octets_.size()) flush();
    octets_[size_++] = c;
  }
  void put(std::string_view text) {
    while (!text.empty()) {
      if (size_ == octets_.size()) flush();
      const size_t octets = std::min(text.size(), octets_.size() - size_);
      std::memcpy(octets_.data() + size_, text.data(), octets);
      size_ += octets;
      text.remove_prefix(octets);
    }
  }

 private:
  void flush() {
    SHA256_Update(&sha_, octets_.data(), size_);
    size_ = 0;
  }

  SHA256_CTX& sha_;
  size_t size_ = 0;
  std::array<char, 4096> octets_;
};

namespace {

bool is_text(char c) { return c != ' ' && c != '\t' && c != '\r'; }

/// How much of the front is hashed as it is: text, with single blanks within.
size_t plain_bytes(std::string_view octets) {
  size_t at = 0;
  while (at < octets.size()) {
    if (is_text(octets[at]))
      ++at;
    else if (octets[at] == ' ' && at + 1 < octets.size() && is_text(octets[at + 1]))
      at += 2;
    else
      break;
  }
  return at;
}

}  // namespace

void BodyHash::update(std::string_view octets) {
  Output out(sha_);
  while (!octets.empty()) {
    if (!has_cr_ && is_text(octets.front())) {
      put_waiting(out);
      const size_t plain = plain_bytes(octets);
      out.put(octets.substr(0, plain));
      octets.remove_prefix(plain);
      has_text_ = true;
    } else {
      take_special(octets.front(), out);
      octets.remove_prefix(1);
    }
  }
}

void BodyHash::take_special(char c, Output& out) {
  if (std::exchange(has_cr_, false)) {
    if (c == '\n') {
      has_blank_ = false;
      ++line_ends_;
      return;
    }
    put_waiting(out);
    out.put('\r');
    has_text_ = true;
  }
  if (c == '\r') {
    has_cr_ = true;
  } else if (!is_text(c)) {
    has_blank_ = true;
  } else {
    out.put(c);
  }
}

void BodyHash::put_waiting(Output& out) {
  for (; line_ends_ > 0; --line_ends_) {
    out.put('\r');
    out.put('\n');
  }
  if (std::exchange(has_blank_, false)) out.put(' ');
}

Digest BodyHash::finish() {
  if (std::exchange(has_cr_, false)) {
    Output out(sha_);
    put_waiting(out);
    out.put('\r');
    has_text_ = true;
  }
  // One line end behind the last line of text, also where it had none; none at all without text.
  if (has_text_) SHA256_Update(&sha_, "\r\n", 2);
  Digest digest;
  SHA256_Final(digest.data(), &sha_);
  return digest;
}

}  // namespace sluice::engine::dkim
