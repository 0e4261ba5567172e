// DKIM key files and records: anything is a key within its limits, which comes back from what it
// writes, or a reason that never quotes the file; and any text in DNS fits a key or is told why
// not.

#include <cstdint>
#include <string_view>

#include "engine/dkim/dns_record.h"
#include "engine/dkim/key.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::dkim;

void check(const Key& key) {
  const bool is_rsa = key.algorithm() == Algorithm::rsa_sha256;
  CHECK(!is_rsa || (key.bits() >= Key::rsa_bits_min && key.bits() <= Key::rsa_bits_max));
  CHECK(key.signature_bytes() <= Key::signature_bytes_max);
  const auto again = Key::parse(key.pem());
  CHECK(again && (*again)->public_octets() == key.public_octets());
  CHECK(mismatch(record_text(key), key).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto key = Key::parse(text))
    check(**key);
  else
    CHECK(!key.error().empty() && key.error().size() < 120);
  static const KeyPtr ours = Key::generate(Algorithm::ed25519_sha256, 0);
  if (size < 4096) mismatch(text, *ours);
  return 0;
}
