#include "tools/sink/tally.h"

#include <cstring>

namespace sluice::tools::sink {
namespace {

/// Multiplies to 128 bits and folds: each bit of the result depends on all of both factors.
uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash(uint64_t seed, std::string_view text) {
  constexpr uint64_t odd_1 = 0x9e3779b97f4a7c15, odd_2 = 0xd6e8feb86659fd93;
  uint64_t state = seed ^ odd_1;
  for (size_t at = 0; at < text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min<size_t>(8, text.size() - at));
    state = mix(state ^ word, odd_2) + odd_1;
  }
  return mix(state ^ text.size(), odd_1);
}

}  // namespace

TextSet::Digest TextSet::digest_of(std::string_view a, std::string_view b) {
  constexpr uint64_t high_seed = 0xa0761d6478bd642f, low_seed = 0xe7037ed1a0b428db;
  Digest digest{hash(hash(high_seed, a), b), hash(hash(low_seed, a), b)};
  if (digest == Digest{}) digest.low = 1;
  return digest;
}

void TextSet::add(std::string_view a, std::string_view b) { add(digest_of(a, b)); }

void TextSet::add(const TextSet& other) {
  for (const Digest& digest : other.places_)
    if (digest != Digest{}) add(digest);
}

void TextSet::add(Digest digest) {
  if (4 * (size_ + 1) > 3 * places_.size()) grow();
  const size_t mask = places_.size() - 1;
  size_t at = digest.low & mask;
  for (; places_[at] != Digest{}; at = (at + 1) & mask)
    if (places_[at] == digest) return;
  places_[at] = digest;
  ++size_;
}

void TextSet::grow() {
  constexpr size_t places_min = 1024;
  std::vector<Digest> old(places_.empty() ? places_min : 2 * places_.size());
  old.swap(places_);
  size_ = 0;
  for (const Digest& digest : old)
    if (digest != Digest{}) add(digest);
}

void Tally::take(std::span<const std::string> recipients_of_message, std::string_view message_id,
                 uint64_t content_bytes) {
  ++messages;
  bytes += content_bytes;
  recipients += recipients_of_message.size();
  if (message_id.empty()) unidentified += recipients_of_message.size();
  for (const std::string& recipient : recipients_of_message) {
    distinct_recipients.add(recipient);
    if (!message_id.empty()) deliveries.add(recipient, message_id);
  }
}

void Tally::add(const Tally& other) {
  messages += other.messages;
  recipients += other.recipients;
  unidentified += other.unidentified;
  bytes += other.bytes;
  messages_tls += other.messages_tls;
  messages_signed += other.messages_signed;
  connections += other.connections;
  handshakes += other.handshakes;
  resumed += other.resumed;
  refusals += other.refusals;
  drops += other.drops;
  distinct_recipients.add(other.distinct_recipients);
  deliveries.add(other.deliveries);
}

}  // namespace sluice::tools::sink
