#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tools::sink {

/// A set of texts, remembered by hashes of 16 octets: a million take 32 MiB. The chance that two
/// among a million fall together is 1 in 10^26, for texts that nobody chose to that end.
class TextSet {
 public:
  /// A text in two parts; the border counts.
  void add(std::string_view a, std::string_view b = {});
  void add(const TextSet& other);
  uint64_t size() const { return size_; }

 private:
  struct Digest {
    uint64_t high = 0, low = 0;  // both 0: a free place
    friend bool operator==(const Digest&, const Digest&) = default;
  };
  static Digest digest_of(std::string_view a, std::string_view b);
  void add(Digest digest);
  void grow();

  std::vector<Digest> places_;  // open addressing; a power of two, at most 3/4 full
  uint64_t size_ = 0;
};

/// What arrived.
struct Tally {
  uint64_t messages = 0;
  uint64_t recipients = 0;       // of all messages taken, repeated ones counted again
  uint64_t unidentified = 0;     // of those, in messages without a Message-ID: never duplicates
  uint64_t bytes = 0;            // of content
  uint64_t messages_tls = 0;     // that came under TLS
  uint64_t messages_signed = 0;  // that have a DKIM-Signature
  uint64_t connections = 0;
  uint64_t handshakes = 0;  // of TLS, that came to their end
  uint64_t resumed = 0;     // of those, by a session of before
  uint64_t refusals = 0;    // negative replies that faults asked for
  uint64_t drops = 0;       // connections that faults closed
  TextSet distinct_recipients;
  TextSet deliveries;  // recipient and Message-ID

  void take(std::span<const std::string> recipients_of_message, std::string_view message_id,
            uint64_t content_bytes);
  void add(const Tally& other);
  uint64_t duplicates() const { return recipients - unidentified - deliveries.size(); }
};

}  // namespace sluice::tools::sink
