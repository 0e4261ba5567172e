#pragma once

#include "io/clock.h"

namespace sluice::sim {

/// Probabilities, each for one operation of our processes (or one connection of theirs); all 0: a
/// world in which nothing breaks. May be changed at any time.
struct FaultPlan {
  // Disk.
  double read_error = 0;      // -EIO
  double write_error = 0;     // -EIO after a part was written
  double write_no_space = 0;  // -ENOSPC after a part was written
  double datasync_error = 0;  // -EIO; what was to be synced may be lost though later syncs succeed
  double name_error = 0;  // -EIO from open, rename, unlink, mkdir, sync_directory; nothing is done
  double disk_slow = 0;   // the operation takes up to disk_slow_max
  io::Duration disk_slow_max = std::chrono::seconds(3);

  // Network, for each connect.
  double socket_refused = 0;  // -EMFILE: our machine has none left; TCP only
  double connect_refused = 0;
  double connect_unreachable = 0;
  double connect_black_hole = 0;  // -ETIMEDOUT after 130 s
  double connection_broken = 0;   // reset at a drawn moment of its first connection_fault_within
  double connection_silent = 0;   // nothing gets through any more from such a moment on
  io::Duration connection_fault_within = std::chrono::seconds(2);
  // Network, for each segment.
  double segment_slow = 0;  // held up for up to segment_slow_max, and all behind it
  io::Duration segment_slow_max = std::chrono::seconds(2);
  double datagram_lost = 0;  // of any process
};

}  // namespace sluice::sim
