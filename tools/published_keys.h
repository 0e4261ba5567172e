#pragma once

#include <string>
#include <vector>

#include "engine/config.h"
#include "io/proactor.h"

namespace sluice::tools {

/// A DKIM key of the configuration beside what DNS says of it.
struct PublishedKey {
  std::string name;         // s1._domainkey.news.example
  std::string problem;      // the end of a sentence that begins with the name; "" for none
  bool is_unknown = false;  // DNS did not answer
  std::string publish;      // as a zone file has it
};

/// Asks the configuration's resolvers, or the system's, for all of them, and waits for the answers.
std::vector<PublishedKey> look_up_keys(io::Proactor& proactor, const engine::Config& config);

/// Of a command that looked them up: EX_OK, EX_CONFIG or EX_TEMPFAIL.
int exit_code(const std::vector<PublishedKey>& keys);

}  // namespace sluice::tools
