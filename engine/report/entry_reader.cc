#include "engine/report/entry_reader.h"

#include "engine/block_load.h"

namespace sluice::engine::report {
namespace {

/// Those of one block who wait, gathered and then read.
class EntryReader final : BlockLoad::Listener {
 public:
  EntryReader(io::Proactor& proactor, const WaitingMail& mail,
              const std::function<void(Held& held)>& visit)
      : proactor_(proactor), mail_(mail), visit_(visit) {}

  void take(uint32_t number) {
    if (batch_ && number >= end_) read();
    if (!batch_) {
      const uint32_t block = mail_.campaign().block_of(number);
      const spool::BlockRef ref = mail_.campaign().block(block);
      end_ = ref.first + ref.count;
      batch_ = std::make_unique<Batch>(Batch{mail_.shared_mailing(), block, {}});
    }
    batch_->items.push_back({.number = number});
  }

  void read() {
    if (!batch_) return;
    BlockLoad load(proactor_, std::move(batch_), static_cast<BlockLoad::Listener&>(*this));
    while (load.result() == BlockLoad::Result::reading) proactor_.wait(io::never, 1);
    const std::vector<Item>& items = load.batch().items;
    if (load.result() != BlockLoad::Result::ready) {
      lost_ += items.size();
      return;
    }
    for (size_t i = 0; i < items.size(); ++i)
      if (held_.hold(mail_.mailing(), items[i], load.entry(i), load.letter()))
        visit_(held_);
      else
        ++lost_;
    held_.release();
  }

  uint64_t lost() const { return lost_; }

 private:
  void block_loaded(BlockLoad&) override {}

  io::Proactor& proactor_;
  const WaitingMail& mail_;
  const std::function<void(Held& held)>& visit_;
  std::unique_ptr<Batch> batch_;
  uint32_t end_ = 0;  // of its block
  Held held_;
  uint64_t lost_ = 0;
};

}  // namespace

uint64_t visit_entries(io::Proactor& proactor, const WaitingMail& mail, Range range,
                       const std::function<void(Held& held)>& visit) {
  EntryReader reader(proactor, mail, visit);
  mail.visit(range, [&](const Waiting& waiting, size_t) { reader.take(waiting.number); });
  reader.read();
  return reader.lost();
}

}  // namespace sluice::engine::report
