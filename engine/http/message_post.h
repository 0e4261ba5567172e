#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <optional>
#include <semaphore>
#include <string>
#include <string_view>

#include "engine/config.h"
#include "engine/http/message_order.h"
#include "engine/http/server.h"
#include "engine/intake/spill_file.h"
#include "engine/report/readiness.h"
#include "io/proactor.h"

namespace sluice::engine::http {

/// What the requests of a server take of the machine together: bodies in memory, and threads that
/// work on the spool's files.
class Room {
 public:
  static constexpr uint64_t body_bytes_max = 256 * 1024 * 1024;
  static constexpr ptrdiff_t workers_max = 2;

  bool take(uint64_t bytes);
  void give_back(uint64_t bytes) { body_bytes_ -= bytes; }

  /// A thread while it works on files; waits for its turn.
  class Worker {
   public:
    explicit Worker(Room& room) : room_(room) { room_.workers_.acquire(); }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker() { room_.workers_.release(); }

   private:
    Room& room_;
  };

 private:
  std::atomic<uint64_t> body_bytes_ = 0;
  std::counting_semaphore<workers_max> workers_{workers_max};
};

/// POST /v1/messages: hands messages to the spool as `sluice send` does, whole or not at all, and
/// answers when that is durable. A body of JSON is kept in memory; of a stream (NDJSON) the first
/// line, while the recipients go to a file without a name: their number has no bound but the disk.
class MessagePost final : public Exchange {
 public:
  static constexpr uint64_t document_bytes_max = 64 * 1024 * 1024;  // or of a stream's first line

  enum class Body : uint8_t { document, stream };
  /// `key`: the header Idempotency-Key, "" for none. The rest is borrowed.
  MessagePost(const Config& config, const report::Readiness& readiness, Room& room, Body body,
              std::string key);
  ~MessagePost() override;

  bool take(std::string_view octets) override;
  Response answer() override;

  static Response too_large(Body body);

 private:
  /// A campaign of that id that was handed off before.
  struct Known {
    uint64_t uid = 0, recipients = 0;
  };
  bool take_head(std::string_view octets);
  bool take_row(std::string_view octets);
  bool refuse(Response&& response);
  Response submit(MessageOrder&& order, io::Proactor& proactor);
  std::expected<Response, Response> try_to_submit(const MessageOrder& order,
                                                  io::Proactor& proactor);
  std::expected<std::optional<Known>, Response> find_known(const std::string& campaign,
                                                           io::Proactor& proactor) const;
  std::expected<std::unique_ptr<intake::RecipientList>, Response> open_list(
      const MessageOrder& order) const;

  const Config& config_;
  const report::Readiness& readiness_;
  Room& room_;
  const Body body_;
  const std::string key_;
  std::string head_;  // the document, or a stream's first line
  bool has_head_ = false;
  std::optional<intake::SpillFile> rows_;
  uint64_t rows_bytes_ = 0;
  std::optional<Response> refusal_;
};

}  // namespace sluice::engine::http
