#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/smtp/transaction.h"
#include "io/proactor.h"
#include "spool/large_mail.h"

namespace sluice::engine {

/// The content of a large message as a session sends it: read from its segment a piece at a time,
/// the next one while the last one is sent. 64 KiB.
class LargeBody final : public smtp::Body {
 public:
  class Listener {
   public:
    /// is_ready(), or has_failed().
    virtual void body_loaded() = 0;

   protected:
    ~Listener() = default;
  };

  LargeBody(io::Proactor& proactor, Listener& listener);
  LargeBody(const LargeBody&) = delete;
  LargeBody& operator=(const LargeBody&) = delete;

  /// From its beginning; the file stays open until end().
  void begin(const spool::LargeContent& content);
  /// No more is wanted of it; a read may still be in flight, the end of which is told.
  void end() { content_.reset(); }
  bool is_begun() const { return content_.has_value(); }

  bool is_ready() const override { return rest_.size() > 0 || is_at_end(); }
  size_t read(std::span<char> out) override;
  /// Why the rest cannot be read; "" when it can.
  std::string_view failure() const { return failure_; }
  bool is_in_flight() const { return read_.in_flight; }

 private:
  bool is_at_end() const { return content_ && at_ >= content_->bytes; }
  void load();
  void loaded(io::Read&, const io::Completion& completion);

  io::Proactor& proactor_;
  Listener& listener_;
  std::optional<spool::LargeContent> content_;  // none: nothing is wanted
  uint64_t at_ = 0;                             // of the content: the end of the piece at hand
  bool is_stale_ = false;                       // the read in flight is of what was wanted before
  std::string_view failure_;
  std::vector<std::byte> record_;
  spool::Bytes rest_;  // of the piece
  io::Read read_;
};

}  // namespace sluice::engine
