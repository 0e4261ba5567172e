#pragma once

#include <memory>
#include <string_view>

#include "engine/envelope.h"
#include "engine/large_body.h"
#include "engine/signed_content.h"
#include "engine/smtp/transaction.h"
#include "io/proactor.h"

namespace sluice::engine {

/// What a session sends for an envelope: the text that is merged, or a large letter's from the
/// disk; where there are keys, behind its signatures. What it takes for the last two is made when
/// it is first wanted.
class Content final : LargeBody::Listener, SignedContent::Owner {
 public:
  class Owner {
   public:
    /// A read ended: is_ready(), or failure(), or nothing is_in_flight() any more.
    virtual void content_loaded() = 0;
    /// Its octets are to be sent now.
    virtual void content_signed() = 0;

   protected:
    ~Owner() = default;
  };
  struct Means {
    Owner& owner;
    io::Proactor& proactor;
    SigningDesk& desk;
  };

  /// Makes it the body of `transaction`, which is of `envelope`, from its beginning; all borrowed
  /// until end().
  void begin(Envelope& envelope, smtp::Transaction& transaction, const Means& means);
  void end();

  /// Are octets at hand, or was all read?
  bool is_ready() const;
  /// Nothing else is to be done before its octets are sent: it waits for its turn at the desk.
  void ask();
  /// Why the rest cannot be read; "" when it can.
  std::string_view failure() const { return is_large() ? large_->failure() : std::string_view(); }
  bool is_in_flight() const { return large_ && large_->is_in_flight(); }

 private:
  bool is_large() const { return large_ && large_->is_begun(); }

  void read_again(SignedContent&) override;
  void body_loaded() override { owner_->content_loaded(); }
  void content_signed(SignedContent&) override { owner_->content_signed(); }

  Envelope* envelope_ = nullptr;
  Owner* owner_ = nullptr;
  std::unique_ptr<LargeBody> large_;
  std::unique_ptr<SignedContent> signed_;
};

}  // namespace sluice::engine
