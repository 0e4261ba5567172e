#pragma once

#include <list>
#include <memory>
#include <string>

#include "engine/block_load.h"
#include "engine/held.h"
#include "engine/queue/home_queue.h"

namespace sluice::engine {

class Fates;

/// Ends recipients that get no attempt of their own (expired, nobody to be reached, cancelled), or
/// tells the log why they go on waiting. On the shard of their queue, which bounds how many blocks
/// are under way.
class Ender final : BlockLoad::Listener {
 public:
  class Owner {
   public:
    /// The block's recipients have ended or been told of; those that wait on are in `returned`.
    virtual void ended(const Route& route, std::vector<Returned>&& returned) = 0;

   protected:
    ~Owner() = default;
  };

  Ender(io::EventLoop& loop, Fates& fates, Owner& owner)
      : loop_(loop), fates_(fates), owner_(owner) {}

  void end(const Route& route, std::unique_ptr<Batch> batch, const queue::Ending& ending);
  bool is_idle() const { return works_.empty(); }

 private:
  struct Work {
    const Route* route;
    queue::Ending ending;
    std::unique_ptr<BlockLoad> load;
  };
  void block_loaded(BlockLoad& load) override;
  void end_one(const Work& work, Item item, spool::Bytes entry);
  std::vector<Returned> waiting(const Work& work, io::Instant due, const SetbackPtr& why) const;

  io::EventLoop& loop_;
  Fates& fates_;
  Owner& owner_;
  std::list<Work> works_;
  Held held_;
  std::string message_id_;
};

}  // namespace sluice::engine
