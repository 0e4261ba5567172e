#pragma once

#include <array>
#include <cstdint>

#include "engine/smtp/credentials.h"

namespace sluice::engine::smtp {

/// What a session is opened with, between the greeting and the first MAIL.
struct Opening {
  enum class Tls : uint8_t {
    unused,
    if_offered,  // in the clear where the server does not offer STARTTLS, or refuses it
    demanded,
  };

  Tls tls = Tls::unused;
  /// For AUTH, under TLS only; they outlive the session. Null: none.
  const Credentials* login = nullptr;
  /// Unpredictable, another for each session that logs in.
  std::array<uint64_t, 2> nonce{};
};

}  // namespace sluice::engine::smtp
