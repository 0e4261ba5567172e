#pragma once

#include <expected>
#include <functional>
#include <span>
#include <string>

#include "io/proactor.h"
#include "spool/campaign.h"
#include "spool/error.h"

namespace sluice::spool {

/// Hands over campaigns whose file lies in memory whole (CampaignEncoder made it), one at a time
/// and without blocking: CampaignWriter's twin for a process that must not wait, the engine itself.
/// The same crash rules (FORMAT.md section 4.2): before done() the campaign exists whole or not at
/// all, after a success it is durable, and an engine sees it. The spool's folder and its campaigns/
/// must be there, durably: the engine that opened the spool made them so.
class Handoff {
 public:
  using Done = std::function<void(std::expected<void, Error>)>;

  Handoff(io::Proactor& proactor, const std::string& spool);
  Handoff(const Handoff&) = delete;
  Handoff& operator=(const Handoff&) = delete;
  /// Waits for what is in flight; other operations' callbacks may run meanwhile, done() does not.
  ~Handoff();

  /// `octets` is borrowed until `done` is called, from a later turn; another start() may come from
  /// within. A campaign of that id that is there already is a success. After a refusal the same may
  /// be tried again and is handed over once, even if the refusal came behind the rename and the
  /// campaign has finished meanwhile.
  void start(const std::string& id, Bytes octets, Done done);
  bool is_in_flight() const { return is_busy_; }

 private:
  void begin();
  void opened(io::Open&, const io::Completion& completion);
  void locked(io::Lock&, const io::Completion& completion);
  void looked(io::Stat&, const io::Completion& completion);
  void written(io::Write&, const io::Completion& completion);
  void synced(io::Datasync&, const io::Completion& completion);
  void renamed(io::Rename&, const io::Completion& completion);
  void names_synced(io::SyncDirectory&, const io::Completion& completion);
  void unlinked(io::Unlink&, const io::Completion&);
  void closed(io::CloseFile&, const io::Completion&);

  void refuse(std::string_view what, int32_t result);
  void end();
  void close();

  io::Proactor& proactor_;
  const std::string folder_;
  Done done_;
  std::expected<void, Error> result_;
  bool is_busy_ = false;
  bool is_open_ = false;
  bool is_named_ = false;     // the temporary name exists
  bool begins_anew_ = false;  // under another temporary name

  std::string unsynced_;  // what was handed over, while that is not durable

  io::Open open_;
  io::Lock lock_;
  io::Stat stat_;
  io::Write write_;
  io::Datasync datasync_;
  io::Rename rename_;
  io::SyncDirectory sync_directory_;
  io::Unlink unlink_;
  io::CloseFile close_;
};

}  // namespace sluice::spool
