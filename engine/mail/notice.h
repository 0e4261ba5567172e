#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/stage.h"
#include "engine/smtp/transaction.h"
#include "engine/smtp/verdict.h"
#include "io/clock.h"

namespace sluice::engine::mail {

/// What a notice tells (Action of RFC 3464 section 2.3.3): `failed`, for good; `delayed`, still
/// being tried; `relayed`, taken by a server that does not report what becomes of it.
enum class NoticeKind : uint8_t { failed, delayed, relayed };

/// Why a recipient failed.
enum class FailureCause : uint8_t {
  refused,   // for good, by a server or by ourselves
  expired,   // tried, or waited, for too long
  in_doubt,  // the content went out and its answer was never read: it may have arrived
};

/// One recipient of a notice, with the last attempt. What a peer said may hold anything.
struct NoticeRecipient {
  std::string_view address;  // as it was sent to
  std::string_view
      original_recipient;  // ORCPT (RFC 3461 section 4.2): `rfc822;Ann@example.net`, xtext undone
  std::string_view id;     // as the transaction log has it
  FailureCause cause = FailureCause::refused;  // of `failed`
  uint32_t attempts = 0;
  io::WallTime last_attempt{};  // when attempts > 0
  io::WallTime retry_until{};   // of `delayed`
  smtp::Stage stage{};          // where the last attempt ended
  std::string_view host;        // its server's name; "" when none was reached
  std::string_view remote;      // that server's address and port
  uint16_t code = 0;            // of the reply, 0 when there was none
  smtp::EnhancedCode enhanced;  // of the reply, or ours
  std::string_view text;        // the whole reply, lines joined by '\n', codes included
  std::string_view reason;      // our words where no reply exists
};

/// How much of a message a notice returns at most; of a larger one, its header.
inline constexpr size_t returned_bytes_max = 64 * 1024;
inline constexpr size_t returned_header_bytes_max = 32 * 1024;

/// What is returned of a message: in CRLF lines, dots not stuffed, with the header's empty line.
struct ReturnedMessage {
  std::string octets;
  bool is_whole = false;  // else its header
};

/// Reads what a notice returns from the front of `body`: as much of the message as `full`
/// (RET=FULL) and the limits above allow, else its header.
ReturnedMessage read_returned(smtp::Body& body, bool full);

struct NoticeRequest {
  NoticeKind kind = NoticeKind::failed;
  std::string_view hostname;       // ours
  std::string_view to;             // who gets it: the message's sender, or the postmaster
  bool is_for_postmaster = false;  // there is no sender to tell (a double bounce)
  std::string_view envelope_id;    // ENVID of the message, xtext undone; "" for none
  io::WallTime arrival{};          // of the message
  io::WallTime now{};
  uint64_t random = 0;  // unpredictable: in boundaries and the Message-ID
  std::span<const NoticeRecipient> recipients;
  const ReturnedMessage* returned = nullptr;
};

/// A notice of at most this many octets, dots stuffed, fits an entry of the spool.
inline constexpr size_t notice_bytes_max = 240 * 1024;

struct ComposedNotice {
  std::string content;  // in CRLF lines, dots not stuffed
  bool needs_8bit = false, needs_smtputf8 = false;
};

/// Composes the delivery status notification (RFC 3464, RFC 6522) that tells `to` of all
/// recipients; several when one would pass notice_bytes_max. Where an address is not ASCII, in the
/// form of RFC 6533. Whatever the peers said: lines are within 998 octets, and no octet of theirs
/// is a control or over 127.
std::vector<ComposedNotice> compose_notices(const NoticeRequest& request);

/// `content`, lines in CRLF, with its dots stuffed (RFC 5321 section 4.5.2).
std::string stuff_dots(std::string_view content);

}  // namespace sluice::engine::mail
