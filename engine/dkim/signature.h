#pragma once

#include <cstddef>
#include <string>

#include "engine/dkim/keyring.h"
#include "engine/dkim/signed_header.h"
#include "io/clock.h"

namespace sluice::engine::dkim {

/// Appends the DKIM-Signature field (RFC 6376 section 3.5) of a message with these fields and this
/// body hash, as it is to stand in front of the message; `header` is finished. Costs what
/// Key::sign() does.
void append_signature(std::string& out, const Signer& signer, const SignedHeader& header,
                      const Digest& body_hash, io::WallTime now);

/// How long one is, with fields as most messages have them.
size_t signature_bytes_about(const Signer& signer);

}  // namespace sluice::engine::dkim
