#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/event_loop.h"
#include "spool/campaign.h"

namespace sluice::spool {

/// Replaces one campaign's file by its summary, or unlinks it when its id need not stay known
/// (FORMAT.md section 4.3), and closes it: a chain of operations, begun again every second until it
/// came through.
class Finishing {
 public:
  /// `done` may destroy this.
  Finishing(io::EventLoop& loop, std::shared_ptr<const Campaign> campaign,
            const CampaignSummary& summary, std::function<void()> done);
  Finishing(const Finishing&) = delete;
  Finishing& operator=(const Finishing&) = delete;

  bool is_in_flight() const;
  /// Does not begin again, whatever happens.
  void stop();

 private:
  void begin();
  template <class Step>
  void completed(Step& step, const io::Completion& completion);
  void step_on();

  io::EventLoop& loop_;
  const std::shared_ptr<const Campaign> campaign_;
  const std::function<void()> done_;
  const std::vector<std::byte> octets_;

  io::Open open_;
  io::Write write_;
  io::Datasync datasync_;
  io::CloseFile close_, close_campaign_;
  io::Rename rename_;
  io::Unlink unlink_;
  io::SyncDirectory sync_directory_;
  std::vector<io::Op*> steps_;  // the next one last
  bool is_stopped_ = false;
  io::Timer retry_timer_;
};

}  // namespace sluice::spool
