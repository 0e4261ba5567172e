#pragma once

#include <string>

namespace sluice::engine::smtp {

struct Credentials {
  std::string user;
  std::string password;

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

}  // namespace sluice::engine::smtp
