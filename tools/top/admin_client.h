#pragma once

#include <chrono>
#include <expected>
#include <string>

#include "io/socket_address.h"

namespace sluice::tools {

/// Asks an engine's HTTP interface (docs/http.md).
class AdminClient {
 public:
  static constexpr std::chrono::seconds patience{10};
  static constexpr size_t answer_bytes_max = 16 * 1024 * 1024;

  /// `token`: of the interface; "" for none.
  AdminClient(const io::SocketAddress& address, std::string token)
      : address_(address), token_(std::move(token)) {}

  /// The body of a GET that was answered 200. The error is one line. Blocking, a connection each.
  std::expected<std::string, std::string> get(const std::string& path) const;
  std::string address() const { return address_.text(); }

 private:
  io::SocketAddress address_;
  std::string token_;
};

}  // namespace sluice::tools
