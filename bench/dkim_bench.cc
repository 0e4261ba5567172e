// What a signature costs: the bare signature, which is what no delivery can be faster than, and
// what is done beside it: gathering a header, hashing a body of 10 KB, writing the field.

#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "engine/dkim/keyring.h"
#include "engine/dkim/message_hash.h"
#include "engine/dkim/signature.h"

namespace {

using namespace sluice::engine::dkim;
using sluice::io::WallTime;

const std::string header =
    "From: News <news@sender.example>\r\nTo: \"Name, 1234\" <user1234@d34.example>\r\n"
    "Subject: Hello Name, 1234\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
    "Message-ID: <0123456789abcdef.1234@sender.example>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    "List-Unsubscribe: <https://sender.example/unsubscribe?token=tok00001234>\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n";

std::string body() {
  std::string text;
  for (int i = 0; i < 155; ++i)
    text += "Sixty-five characters of newsletter that say nothing new at all.\r\n";
  return text;
}

KeyPtr key(Algorithm algorithm) { return Key::generate(algorithm, 2048); }

void bare_signature(benchmark::State& state, Algorithm algorithm) {
  const KeyPtr k = key(algorithm);
  std::array<char, Key::signature_bytes_max> signature;
  Digest digest{};
  for (auto _ : state) {
    ++digest[0];
    k->sign(digest, signature.data());
    benchmark::DoNotOptimize(signature);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(bare_signature, rsa_2048, Algorithm::rsa_sha256);
BENCHMARK_CAPTURE(bare_signature, ed25519, Algorithm::ed25519_sha256);

void message(benchmark::State& state, Algorithm algorithm, bool has_known_body) {
  const Signer signer{.domain = "sender.example", .selector = "s1", .key = key(algorithm)};
  const std::string text = header + body();
  MessageHash known;
  known.update(text);
  MessageHash hash;
  std::string out;
  for (auto _ : state) {
    hash.clear();
    if (has_known_body) {
      hash.update(header);
      hash.resume_body(known.body());
    } else {
      hash.update(text);
    }
    const Digest digest = hash.finish();
    out.clear();
    append_signature(out, signer, hash.header(), digest, WallTime{});
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(message, rsa_2048, Algorithm::rsa_sha256, false);
BENCHMARK_CAPTURE(message, ed25519, Algorithm::ed25519_sha256, false);
BENCHMARK_CAPTURE(message, ed25519_known_body, Algorithm::ed25519_sha256, true);

void body_hash(benchmark::State& state) {
  const std::string text = body();
  for (auto _ : state) {
    BodyHash hash;
    hash.update(text);
    benchmark::DoNotOptimize(hash.finish());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(body_hash);

void sha256(benchmark::State& state) {
  const std::string text = body();
  Digest digest;
  for (auto _ : state) {
    SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data());
    benchmark::DoNotOptimize(digest);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(sha256);

void signed_header(benchmark::State& state) {
  SignedHeader gathered;
  for (auto _ : state) {
    gathered.clear();
    gathered.update(header);
    gathered.finish();
    benchmark::DoNotOptimize(gathered);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(header.size()));
}
BENCHMARK(signed_header);

}  // namespace
