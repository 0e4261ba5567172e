#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/smtp/stage.h"
#include "engine/smtp/verdict.h"
#include "io/event_loop.h"
#include "io/socket_address.h"

namespace sluice::engine::report {

enum class Event : uint8_t {
  accepted,
  delivered,
  deferred,
  failed,
  expired,
  delayed,
  held,
  released,
  cancelled,
  in_doubt
};

/// One line of LOG/transactions.jsonl; keys as in the contract. Views are copied by append(). Empty
/// or zero means: key left out (null for `tls`).
struct LogEntry {
  Event event = Event::accepted;
  io::WallTime time{};
  std::string_view id, campaign;
  std::optional<std::string_view> sender;  // "" is the null sender, and is written
  std::string_view recipient, original_recipient, message_id;
  uint64_t bytes = 0;
  uint64_t recipients = 0;  // `accepted` of a campaign: one line for all of them
  uint32_t attempt = 0;
  bool has_stage = false;
  smtp::Stage stage{};  // `phase`
  std::string_view host;
  const io::SocketAddress* remote = nullptr;
  const io::SocketAddress* local = nullptr;
  std::string_view tls;
  uint16_t code = 0;
  smtp::EnhancedCode enhanced;
  std::string_view text, reason;
  std::array<uint32_t, smtp::stage_count>
      phases_us{};  // zero: left out; `phases_ms` in the line, with decimals
  io::WallTime next_attempt{}, expires{};
};

/// One shard's pen for the transaction log: lines are gathered in memory and written, whole lines
/// only, by one O_APPEND write at a time; several shards write the same file. No allocation a line
/// in steady state. When the disk refuses, lines are kept up to `pending_bytes_max` and writing is
/// tried again every second; beyond that is_full() says "not now" and deliveries pause: a fate must
/// not go unlogged.
class TransactionLog {
 public:
  static constexpr size_t pending_bytes_max = 16 * 1024 * 1024;
  static constexpr uint64_t file_bytes_max =
      1024ull * 1024 * 1024;  // then rotated: transactions-<UTC time>.jsonl

  class Listener {
   public:
    /// All lines appended before the flush() are in the file (page cache; the log is not what
    /// durability rests on: the spool is).
    virtual void log_flushed() = 0;
    virtual void log_stalled(const std::string& message) = 0;
    virtual void log_resumed() = 0;

   protected:
    ~Listener() = default;
  };

  /// Creates the folder when missing and opens the file, blocking. `leader`: this shard rotates;
  /// the others notice and reopen.
  static std::expected<std::unique_ptr<TransactionLog>, std::string> open(io::EventLoop& loop,
                                                                          const std::string& folder,
                                                                          bool leader,
                                                                          Listener& listener);
  virtual ~TransactionLog() = default;

  virtual void append(const LogEntry& entry) = 0;
  virtual bool has_pending() const = 0;
  virtual bool is_flushing() const = 0;
  virtual bool is_full() const = 0;
  /// Starts writing what is pending, unless a write runs; log_flushed() follows.
  virtual void flush() = 0;
  /// The file was moved away (logrotate, SIGUSR1): open it anew before the next write.
  virtual void reopen() = 0;
};

}  // namespace sluice::engine::report
