#include "engine/block_load.h"

namespace sluice::engine {

BlockLoad::BlockLoad(io::Proactor& proactor, std::unique_ptr<Batch> batch, Listener& listener)
    : listener_(listener), batch_(std::move(batch)) {
  const spool::Campaign& campaign = *batch_->mailing->campaign;
  const spool::BlockRef ref = campaign.block(batch_->block);
  octets_.resize(ref.bytes);
  read_.bind<&BlockLoad::loaded>(this);
  read_.file = campaign.file();
  read_.offset = ref.offset;
  read_.bytes = octets_;
  proactor.submit(read_);
}

void BlockLoad::loaded(io::Read&, const io::Completion& completion) {
  result_ = find_entries(completion.result);
  if (result_ == Result::ready && !letter_) keep_entries_only();
  listener_.block_loaded(*this);
}

BlockLoad::Result BlockLoad::find_entries(int32_t result) {
  if (result < 0) return Result::unreadable;
  if (static_cast<size_t>(result) != octets_.size()) return Result::damaged;
  entries_.reserve(batch_->items.size());
  const Mailing& mailing = *batch_->mailing;
  const spool::BlockRef ref = mailing.campaign->block(batch_->block);
  const bool is_sound = mailing.letters ? find_in_letter(ref) : find_in_block(ref);
  return is_sound && entries_.size() == batch_->items.size() ? Result::ready : Result::damaged;
}

bool BlockLoad::find_in_block(const spool::BlockRef& ref) {
  return spool::visit_block(ref, octets_,
                            [this](uint32_t number, spool::Bytes entry) { take(number, entry); });
}

bool BlockLoad::find_in_letter(const spool::BlockRef& ref) {
  const auto mail = spool::decode_mail(ref, octets_);
  if (!mail) return false;
  auto letter = std::make_shared<Letter>();
  if (!letter->envelope.decode(mail->envelope)) return false;
  letter->content = {reinterpret_cast<const char*>(mail->content.data()), mail->content.size()};
  if (mail->large_bytes > 0)
    letter->large = {batch_->mailing->campaign->file(), spool::Salt::from(ref.salt),
                     mail->large_bytes};
  letter->octets = std::move(octets_);  // the views stay good
  mail->visit_recipients([this](uint32_t number, const spool::MailRecipient& recipient) {
    take(number, recipient.entry);
  });
  letter_ = std::move(letter);
  return true;
}

void BlockLoad::take(uint32_t number, spool::Bytes entry) {
  const std::vector<Item>& items = batch_->items;
  if (entries_.size() < items.size() && items[entries_.size()].number == number)
    entries_.push_back(entry);
}

void BlockLoad::keep_entries_only() {
  size_t wanted = 0;
  for (const spool::Bytes entry : entries_) wanted += entry.size();
  if (wanted > octets_.size() / 2) return;
  std::vector<std::byte> kept;
  kept.reserve(wanted);  // the views stay good
  for (spool::Bytes& entry : entries_) {
    const size_t at = kept.size();
    kept.insert(kept.end(), entry.begin(), entry.end());
    entry = spool::Bytes(kept).subspan(at);
  }
  octets_ = std::move(kept);
}

}  // namespace sluice::engine
