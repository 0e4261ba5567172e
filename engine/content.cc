#include "engine/content.h"

namespace sluice::engine {

void Content::begin(Envelope& envelope, smtp::Transaction& transaction, const Means& means) {
  envelope_ = &envelope;
  owner_ = &means.owner;
  if (envelope.letter() && envelope.letter()->is_large()) {
    if (!large_)
      large_ =
          std::make_unique<LargeBody>(means.proactor, static_cast<LargeBody::Listener&>(*this));
    large_->begin(envelope.letter()->large);
    transaction.body = large_.get();
  }
  if (!means.desk.has_keys()) return;
  if (!signed_)
    signed_ =
        std::make_unique<SignedContent>(means.desk, static_cast<SignedContent::Owner&>(*this));
  signed_->begin(envelope.mailing(), *transaction.body,
                 envelope.letter() ? nullptr : &envelope.merge());
  transaction.body = signed_.get();
  transaction.bytes += means.desk.keys()->bytes_max();
}

void Content::end() {
  if (signed_) signed_->end();
  if (large_) large_->end();
  if (large_ && !large_->is_in_flight()) large_.reset();
}

bool Content::is_ready() const {
  if (signed_ && signed_->is_begun()) return signed_->is_ready();
  return !is_large() || large_->is_ready();
}

void Content::ask() {
  if (signed_) signed_->ask();
}

void Content::read_again(SignedContent&) {
  if (is_large())
    large_->begin(envelope_->letter()->large);
  else
    envelope_->rewind();
}

}  // namespace sluice::engine
