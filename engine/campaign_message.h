#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/priority.h"
#include "engine/smtp/dsn.h"
#include "spool/campaign.h"
#include "spool/error.h"

namespace sluice::engine {

/// Who hears of failures and delays: nobody (they are in the log), or the envelope sender.
enum class Notices : uint8_t { log, sender };

/// What a campaign stores beside its recipients: the message and how the submitter wants it sent.
/// Opaque to the spool (the `message` of its file). Layout (integers LEB128, texts as length and
/// octets): version, flags, notices, priority, NOTIFY, RET, next hop, source, sender,
/// Message-ID domain, envelope id, number of columns, the columns' names, then the encoded template
/// up to the end.
struct CampaignMessage {
  static constexpr uint64_t version = 1;
  static constexpr size_t columns_max = 1024;  // of a list, `email` among them
  static constexpr size_t text_bytes_max =
      4096;  // of each text here: a column's name, the sender, ...

  /// Flags: what at least one recipient needs (an or of Recipient::needs_8bit and needs_smtputf8).
  uint8_t recipients_need = 0;
  /// Flag 64: it goes whatever DANE and MTA-STS say (RFC 8689's TLS-Required: No), and what TLS
  /// comes to is told to nobody: a TLS report.
  bool is_tls_optional = false;
  Notices notices = Notices::log;
  Priority priority = Priority::normal;
  smtp::DsnRequest dsn;  // of the submitter
  std::string_view
      next_hop;  // `--next-hop`, as written: instead of what the configuration says; "" for none
  std::string_view source;  // `--source`: instead of what the configuration says; "" for none
  std::string_view
      sender;  // envelope sender as written, with its tags: for people; the template merges it
  std::string_view message_id_domain;     // right side of added Message-IDs
  std::vector<std::string_view> columns;  // of the list, in its order, `email` among them
  spool::Bytes content;                   // mail::Template::encode()

  /// All views are into `bytes`, which must outlive them. `damaged` or `newer_version`; trusts
  /// nothing that it reads.
  static std::expected<CampaignMessage, spool::ErrorCode> decode(spool::Bytes bytes);
  std::string encode() const;
};

}  // namespace sluice::engine
