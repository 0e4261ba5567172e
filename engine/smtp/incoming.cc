#include "engine/smtp/incoming.h"

namespace sluice::engine::smtp {

IncomingRecipient& Incoming::add_recipient() {
  if (count_ == recipients_.size()) recipients_.emplace_back();
  IncomingRecipient& added = recipients_[count_++];
  added.address.clear();
  added.original.clear();
  added.notify = 0;
  added.needs_smtputf8 = false;
  return added;
}

void Incoming::clear() {
  // The memory of a rare large envelope is not kept for the session's life.
  constexpr size_t recipients_kept = 64;
  if (recipients_.size() > recipients_kept) {
    recipients_.resize(recipients_kept);
    recipients_.shrink_to_fit();
  }
  count_ = 0;
  sender.clear();
  envelope_id.clear();
  returned = ReturnedContent::unsaid;
  bytes_declared = 0;
  is_8bit = is_smtputf8 = sender_needs_smtputf8 = is_tls_required = false;
}

}  // namespace sluice::engine::smtp
