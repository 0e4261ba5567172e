#include "engine/dkim/body_hash.h"

#include <array>
#include <cstddef>
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

 private:
  void flush() {
    SHA256_Update(&sha_, octets_.data(), size_);
    size_ = 0;
  }

  SHA256_CTX& sha_;
  size_t size_ = 0;
  std::array<char, 4096> octets_;
};

void BodyHash::update(std::string_view octets) {
  Output out(sha_);
  for (const char c : octets) {
    if (std::exchange(has_cr_, false)) {
      if (c == '\n') {
        has_blank_ = false;
        ++line_ends_;
        continue;
      }
      put('\r', out);
    }
    if (c == '\r') {
      has_cr_ = true;
    } else if (c == ' ' || c == '\t') {
      has_blank_ = true;
    } else if (line_ends_ > 0 || has_blank_) {
      put(c, out);
    } else {
      out.put(c);
      has_text_ = true;
    }
  }
}

void BodyHash::put(char c, Output& out) {
  for (; line_ends_ > 0; --line_ends_) {
    out.put('\r');
    out.put('\n');
  }
  if (std::exchange(has_blank_, false)) out.put(' ');
  out.put(c);
  has_text_ = true;
}

Digest BodyHash::finish() {
  if (std::exchange(has_cr_, false)) {
    Output out(sha_);
    put('\r', out);
  }
  // One line end behind the last line of text, also where it had none; none at all without text.
  if (has_text_) SHA256_Update(&sha_, "\r\n", 2);
  Digest digest;
  SHA256_Final(digest.data(), &sha_);
  return digest;
}

}  // namespace sluice::engine::dkim
