#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/held.h"
#include "engine/smtp/transaction.h"

namespace sluice::engine {

/// The recipients of one transaction in a session's hands: one, or several to whom the campaign's
/// message goes as it is (mail::Template::is_personal()). Several take about 40 octets each beside
/// their address, until release(); their merge fields are not kept. One after another allocates
/// nothing in steady state.
class Envelope {
 public:
  /// Of the recipients as they are kept: what a session holds is bounded, whatever the list.
  static constexpr size_t entries_bytes_max = 65536;

  enum class Joined : uint8_t {
    yes,
    no,       // it belongs in another transaction, or this one is full
    damaged,  // the entry does not fit its campaign
  };
  /// Adds a recipient; `entry` as stored, copied. `letter`: null for a campaign's. Not while
  /// offered.
  Joined add(const Mailing& mailing, Item item, spool::Bytes entry, const LetterPtr& letter);
  /// Takes away the last of several.
  void drop_last();
  void release();

  bool is_free() const { return held_.is_free(); }
  unsigned size() const;
  const Mailing& mailing() const { return *held_.mailing; }
  const LetterPtr& letter() const { return held_.letter; }
  const Item& item(unsigned recipient) const {
    return several_ ? several_->members[recipient].item : held_.item;
  }
  std::string_view entry(unsigned recipient) const;

  /// A recipient by itself, to be described. The content has to be read from its beginning again.
  Held& at_hand(unsigned recipient);
  /// Whose verdict is known, or who was given back.
  void end(unsigned recipient) {
    (several_ ? several_->members[recipient].has_ended : has_ended_) = true;
  }
  bool has_ended(unsigned recipient) const {
    return several_ ? several_->members[recipient].has_ended : has_ended_;
  }

  /// What is to be offered; borrows from here. Begins the content, but that of a large letter.
  smtp::Transaction transaction();
  /// What writes the content, but that of a large letter.
  mail::Merge& merge() { return held_.merge; }
  /// The content from its beginning.
  void rewind() { held_.begin_merge(); }

  /// Taken, and not offered yet.
  bool waits() const { return !is_free() && !is_offered; }
  bool is_offered = false;
  smtp::TransactionNumber number = 0;  // when offered
  unsigned accepted = 0;               // recipients that RCPT was granted for, once they ended
  bool was_split = false;              // the peer wanted some in another transaction

 private:
  struct Member {
    Item item;
    uint32_t entry_end = 0;  // in entries_; it begins where the one before ends
    bool has_ended = false;
  };
  struct Several {
    std::vector<Member> members;
    std::string entries;                      // addresses; a campaign's with blank fields
    std::vector<std::string_view> addresses;  // when offered
  };
  bool goes_with_first(const Recipient& recipient, const LetterPtr& letter) const;
  void append(const Item& item, const Recipient& recipient);

  Held held_;               // the recipient at hand
  bool has_ended_ = false;  // if there is but one
  unsigned at_hand_ = 0;
  std::unique_ptr<Several> several_;
};

}  // namespace sluice::engine
