#pragma once

#include <filesystem>
#include <string>

namespace sluice::engine::tls {

/// A certificate for mx.example that signs itself, and its key, as PEM files; gone with it.
class CertificateFiles {
 public:
  /// RSA of 2048 bits with `is_rsa`, else ECDSA on P-256.
  explicit CertificateFiles(bool is_rsa = false);
  ~CertificateFiles() { std::filesystem::remove_all(folder_); }
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  std::string certificate() const { return folder_ / "certificate.pem"; }
  std::string key() const { return folder_ / "key.pem"; }
  std::filesystem::path folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace sluice::engine::tls
