#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include "engine/held.h"
#include "engine/notices/addressee.h"
#include "engine/notices/notice_box.h"
#include "engine/report/transaction_log.h"

namespace sluice::engine::notices {

/// Tells senders what became of their mail: gathers, for a second, the recipients of one message
/// that have the same to be told, composes their notice and queues it. One a shard.
class Notifier final : NoticeBox::Listener {
 public:
  class Owner {
   public:
    /// All notices up to this ticket are durable: what they are about may be recorded.
    virtual void notices_queued(uint64_t ticket) = 0;
    /// The spool refuses notices (`message` says why) or takes them again ("").
    virtual void notices_changed(const std::string& message) = 0;

   protected:
    ~Owner() = default;
  };
  struct Options {
    std::string spool, hostname, postmaster;
    Notices notices = Notices::sender;  // `log`: nobody is told anything
  };

  Notifier(io::EventLoop& loop, const Options& options, Owner& owner);

  /// What is to be told of a recipient, as it goes to the log. Merges its message, for the header
  /// that is returned. The result is the ticket to wait for; 0: nobody wants to know.
  struct News {
    mail::NoticeKind kind = mail::NoticeKind::failed;
    mail::FailureCause cause = mail::FailureCause::refused;
    io::WallTime retry_until{};  // of `delayed`
  };
  uint64_t note(const News& news, Held& held, const report::LogEntry& entry);
  /// Is `kind` told to anybody, for recipients of this campaign?
  bool may_tell(const Mailing& mailing) const {
    return notices_ == Notices::sender && mailing.message.notices == Notices::sender;
  }

  /// Nothing more is gathered: what there is goes now.
  void hurry();
  bool is_idle() const { return groups_.empty() && queued_.empty() && box_.is_idle(); }

 private:
  struct Concerned {
    mail::NoticeRecipient recipient;  // views into the texts
    std::string address, original_recipient, id, host, remote, text, reason;
  };
  struct Group {
    uint64_t ticket = 0;
    const Mailing* mailing = nullptr;  // alive: its recipients wait for the ticket
    LetterPtr letter;                  // alone, of a mail segment
    std::string envelope_id;
    io::WallTime arrival{};
    Addressee to;
    mail::NoticeKind kind{};
    mail::ReturnedMessage returned;
    bool is_tls_required = false;
    std::list<Concerned> concerned;
  };
  struct Queued {
    uint64_t ticket, position;
  };

  Group& group(const Mailing& mailing, mail::NoticeKind kind, Addressee&& to, Held& held);
  void gathered();
  void compose(const Group& group);

  void notices_durable(uint64_t position) override;
  void notices_stalled(const spool::Error& error) override {
    owner_.notices_changed(error.message);
  }
  void notices_resumed() override { owner_.notices_changed(""); }

  io::EventLoop& loop_;
  Owner& owner_;
  const std::string hostname_, postmaster_;
  const Notices notices_;
  NoticeBox box_;
  std::deque<Group> groups_;  // by ticket
  std::deque<Queued> queued_;
  uint64_t tickets_ = 0;
  io::Timer timer_;
};

}  // namespace sluice::engine::notices
