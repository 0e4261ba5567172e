#pragma once

#include <cstdint>
#include <string>

#include "engine/sts/policy.h"

namespace sluice::engine::sts {

/// Why there is no policy of a domain that says it has one.
enum class Fault : uint8_t {
  none,
  fetch,    // the server could not be reached, or served nothing
  webpki,   // its certificate is no good
  invalid,  // what it served is no policy
};

/// What a domain's policy came to.
struct Finding {
  PolicyPtr policy;  // in force; null: none
  Fault fault = Fault::none;
  std::string reason;  // of a fault: "sts: mta-sts.example.test: HTTP status 404"
};

}  // namespace sluice::engine::sts
