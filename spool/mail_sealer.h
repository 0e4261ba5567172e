#pragma once

#include <functional>
#include <list>
#include <memory>

#include "io/proactor.h"
#include "spool/mail_segment.h"
#include "spool/record.h"

namespace sluice::spool {

/// Ends segments of mail that their writer has let go (FORMAT.md section 7.4): writes the index,
/// and gives back what was reserved, or written and not acknowledged, behind it. Where the disk
/// refuses, the segment stays as it is, which the next start can read as well.
class MailSealer {
 public:
  using Sealed = std::function<void(const std::shared_ptr<MailSegment>& segment)>;

  /// `sealed` is called for each segment that holds messages, from later turns. One without is
  /// closed and unlinked.
  MailSealer(io::Proactor& proactor, Sealed sealed);
  MailSealer(const MailSealer&) = delete;
  MailSealer& operator=(const MailSealer&) = delete;
  /// Waits for what is in flight.
  ~MailSealer();

  /// `segment` holds what is acknowledged. `is_sound`: no write or sync of it ever failed.
  void seal(std::shared_ptr<MailSegment> segment, Salt salt, bool is_sound);

 private:
  struct Chore;

  io::Proactor& proactor_;
  const Sealed sealed_;
  std::list<Chore> chores_;
};

}  // namespace sluice::spool
