#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/dns/host_list.h"
#include "engine/protection.h"
#include "engine/smtp/opening.h"
#include "engine/tls/channel.h"
#include "engine/tls/host_memory.h"
#include "engine/tls_outcome.h"

namespace sluice::engine {

/// A shard's part of its sessions' TLS.
struct TlsDesk {
  tls::HostMemory memory;
  // For the length of a call: what was decrypted, what is to be encrypted, and what came of it.
  std::string plain_in, wire;
  std::unique_ptr<char[]> plain_out;  // made when it is first needed
};

/// TLS of an outbound session, on one connection after the other: whether the policy wants it, the
/// handshake, records both ways, what the shard remembers of the host. Its I/O is the session's. At
/// rest it holds the channel's keys.
class SessionTls {
 public:
  /// Plain octets that make one record of a send block, whatever the cipher.
  static constexpr size_t record_bytes_max = 16 * 1024 - 256;

  explicit SessionTls(TlsDesk& desk) : desk_(desk) {}

  /// For a new connection to `host`, which outlives it: what the machine is to do about TLS and a
  /// login.
  smtp::Opening connected(const DestinationPolicy& policy, const dns::Host& host, io::Instant now);

  /// This connection is to be under TLS, if only where that is offered.
  bool is_wanted() const { return is_wanted_; }
  /// STARTTLS was granted: the first flight lies in outgoing().
  void begin();
  bool is_on() const { return channel_ != nullptr; }
  /// The handshake went well.
  bool is_established() const { return !description_.empty(); }
  /// The server is the one that the route means: its certificate has the name of a configured next
  /// hop, or matches a TLSA record, or is what the domain's policy demands.
  bool is_authenticated() const;
  /// Takes what came; what it says, good until the next call of any session's. What is to be sent
  /// because of it lies in outgoing().
  std::string_view receive(std::span<const std::byte> octets);
  /// Why nothing more can be received; "" when it can.
  std::string failure() const;

  /// Room for plain octets to be sent, in place of a block.
  std::span<char> room();
  /// Encrypts the first `octets` of room() into `block`, of SendBuffers::block_bytes; how many that
  /// makes.
  size_t encrypt(size_t octets, std::span<char> block);

  /// Of handshakes and alerts: to be sent before what is encrypted next.
  std::string& outgoing() { return outgoing_; }
  /// Nothing more is said on this connection: the last octets of it are put into outgoing().
  void close();

  /// The handshake came to nothing, and policy allows to go on without: the host is remembered, and
  /// connected() will not try it again for a while.
  bool falls_back(io::Instant now);
  /// What the host's own policy demands of this connection.
  TlsPolicyType policy_type() const;
  /// What the connection came to, once mail can be sent or TLS was in the way of that.
  TlsResult result() const;
  /// The policy without which TLS would be no obstacle: "tls = verified", "DANE"; "" for none.
  std::string demand() const;
  /// For the log: "TLSv1.3 TLS_AES_128_GCM_SHA256 verified"; "verified dane" by TLSA records,
  /// "unverified dane" where none of them is of a use; "verified sts" where the domain's policy
  /// is enforced, else "sts-testing" behind either word; "" in the clear.
  const std::string& description() const { return description_; }

 private:
  tls::HostMemory::Host key() const;
  bool is_demanded() const;
  bool is_sts_enforced() const;
  std::string_view name_of_demand() const;
  tls::Peer peer() const;

  TlsDesk& desk_;
  const DestinationPolicy* policy_ = nullptr;
  const dns::Host* host_ = nullptr;
  bool is_wanted_ = false;
  std::unique_ptr<tls::Channel> channel_;
  std::string outgoing_, description_;
};

}  // namespace sluice::engine
