#pragma once

namespace sluice::io {

/// Prints `expression` with its place and stops the process: broken code must not go on delivering
/// mail.
[[noreturn]] void check_failed(const char* expression, const char* file, int line);

}  // namespace sluice::io

/// An invariant of our own code, held in release builds too. Never for what a peer, a disk or an
/// operator did.
#define CHECK(expression)                 \
  (static_cast<bool>(expression) ? void() \
                                 : ::sluice::io::check_failed(#expression, __FILE__, __LINE__))
