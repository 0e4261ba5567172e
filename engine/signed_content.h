#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/mailing.h"
#include "engine/signing_desk.h"
#include "engine/smtp/transaction.h"

namespace sluice::engine {

/// The content of a transaction with its DKIM signatures in front. It is read twice: once to be
/// hashed and once to be sent; of a campaign's messages, what all have in common is hashed once,
/// and a message that is the same for all is signed once in a while. A message whose author has no
/// key goes as it is.
class SignedContent final : public smtp::Body {
 public:
  class Owner {
   public:
    /// The content is to be read from its beginning again.
    virtual void read_again(SignedContent& content) = 0;
    /// It is_signed() now.
    virtual void content_signed(SignedContent& content) = 0;

   protected:
    ~Owner() = default;
  };
  /// How long signatures of a message that is the same for all are used.
  static constexpr io::Duration signatures_kept = std::chrono::minutes(15);

  SignedContent(SigningDesk& desk, Owner& owner) : desk_(desk), owner_(owner) {}
  SignedContent(const SignedContent&) = delete;
  SignedContent& operator=(const SignedContent&) = delete;
  ~SignedContent() { end(); }

  /// `content` is at its beginning and borrowed until end(). `merge`: the same, when it is a
  /// message of a campaign; else null. Nothing is done before ask().
  void begin(const Mailing& mailing, smtp::Body& content, mail::Merge* merge);
  void end();
  bool is_begun() const { return content_ != nullptr; }

  /// The content is to be sent now: it waits for its turn at the desk, unless it is not begun, is
  /// signed, waits already, or its octets are not at hand.
  void ask();
  bool is_signed() const { return stage_ == Stage::ready; }
  bool is_ready() const override;
  size_t read(std::span<char> out) override;

  // The desk's:
  /// Does a little; leaves the queue when it is signed, or its octets are not at hand.
  void step();
  /// Is a signature what comes next?
  bool is_signing() const { return stage_ == Stage::sign; }

 private:
  enum class Stage : uint8_t { begin, header, beginning, body, sign, ready };

  void leave_queue();
  void begin_hash();
  void read_header();
  void read_body();
  void end_header();
  void end_beginning();
  void end_body();
  void sign_once();
  void take_signatures();
  size_t hash_some(size_t bytes_max);
  SigningDesk::Campaign* campaign() const;
  bool is_same_for_all() const { return merge_ != nullptr && !mailing_->content.is_personal(); }

  SigningDesk& desk_;
  Owner& owner_;
  Stage stage_ = Stage::begin;
  const Mailing* mailing_ = nullptr;
  smtp::Body* content_ = nullptr;  // null: not begun
  mail::Merge* merge_ = nullptr;
  std::optional<SigningDesk::Queue::iterator> place_;  // while it waits
  std::unique_ptr<dkim::MessageHash> hash_;
  dkim::KeyringPtr keys_;
  std::span<const dkim::Signer> signers_;  // of keys_, those that are still to sign
  dkim::Digest body_hash_{};
  std::string signatures_;
  size_t read_ = 0;  // of signatures_
};

}  // namespace sluice::engine
