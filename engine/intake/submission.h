#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/campaign_message.h"
#include "engine/intake/destination_sort.h"
#include "engine/intake/recipient_list.h"
#include "engine/intake/rejected_rows.h"
#include "engine/mail/template.h"
#include "io/proactor.h"
#include "spool/campaign.h"

namespace sluice::engine::intake {

/// What a submitter asks for; fields are called like the options of `sluice send`.
struct SubmissionOptions {
  std::string message;                 // path; of a message that is at hand, a name for errors
  std::optional<std::string> at_hand;  // the message itself
  bool is_literal = false;             // it goes out as it is: mail::Template::literal()
  std::string recipients;              // path, or "-"
  std::string from;                    // envelope sender, with tags; of a literal message without
  std::string campaign;                // "": a name is made up
  bool is_repeatable = true;           // false: nothing is left behind when all have their fates
  std::string spool;
  std::string next_hop;
  std::string source;
  std::string suppress;     // path, or ""
  std::string unsubscribe;  // URL with tags, or ""
  std::string hostname;     // right side of added Message-IDs
  Notices notices = Notices::log;
  smtp::Notify notify = 0;
  smtp::ReturnedContent returned = smtp::ReturnedContent::unsaid;
  std::string envelope_id;           // "" for none
  std::optional<Priority> priority;  // none: as the message's header says
  bool is_tls_optional = false;      // CampaignMessage has it
  bool skip_invalid = false;
  bool dry_run = false;  // everything but the hand-off: nothing is written
  uint32_t preview = 0;  // rows of the list, from its top, to be merged for a look; implies dry_run
  size_t sort_bytes = DestinationSort::memory_bytes_default;
};

/// Why nothing was handed off. `lines` are for the operator.
struct SubmissionFailure {
  enum class Kind : uint8_t {
    usage,
    data,
    no_input,
    cannot_create,
    io,
    try_later,
    not_allowed,
    unavailable,
    interrupted
  };
  Kind kind = Kind::data;
  std::vector<std::string> lines;
};

/// What a hand-off came to. All rows of the list are in exactly one of the four counts.
struct Receipt {
  std::string campaign;
  uint64_t uid = 0;        // with a recipient's number: its id in the log
  bool was_known = false;  // handed off before: nothing was done, the counts are 0
  uint64_t recipients = 0, duplicates = 0, suppressed = 0, rejected = 0;
  uint64_t bytes = 0;         // of the campaign's file
  std::string rejected_path;  // "" when no row was rejected
  std::vector<std::pair<std::string, uint64_t>>
      destinations;  // the largest, and how many recipients each has
  uint64_t destinations_count = 0;
};

/// One message as it would go over the wire, un-stuffed.
struct Preview {
  std::string sender, recipient, content;
};

/// A newsletter on its way from the operator's files into a spool. One use; blocking; nothing of it
/// is visible to an engine before run() succeeds, and nothing stays when it fails.
class Submission {
 public:
  static constexpr size_t errors_shown_max = 100;

  Submission(SubmissionOptions options, io::Proactor& proactor)
      : options_(std::move(options)), proactor_(proactor) {}

  /// Called now and then while rows are read and written; false: give up, as interrupted.
  std::function<bool(const char* doing, uint64_t done)> progress;

  /// Called for each recipient as it gets its number, and, behind the last one, with what is known
  /// before the hand-off; false: give up, as interrupted.
  std::function<bool(uint64_t uid, uint32_t number, std::string_view address)> numbered;
  std::function<bool(const Receipt& receipt)> all_numbered;

  /// Recipients from elsewhere than options.recipients.
  void set_list(std::unique_ptr<RecipientList> list) { list_ = std::move(list); }

  std::expected<Receipt, SubmissionFailure> run();

  /// After run(), when options.preview asked for them: in the order of the list; rows dropped as
  /// duplicates or suppressed are left out.
  const std::vector<Preview>& previews() const { return previews_; }

  /// What went wrong with rows that were rejected (skip_invalid), the first errors_shown_max of
  /// them.
  const std::vector<std::string>& rejections() const { return row_errors_; }

 private:
  using Done = std::expected<void, SubmissionFailure>;

  bool is_look() const { return options_.dry_run || options_.preview > 0; }
  Done check_options();
  Done read_message();
  Done read_message_file();
  Done open_list();
  Done look_at_template();
  Done open_campaign();
  Done read_suppressions();
  Done read_rows();
  Done reject_row();
  Done compile();
  Done write_recipients();
  Done write_recipient(const DestinationSort::Sorted& sorted, bool is_first_of_destination);
  Done commit();
  Done still_wanted(const char* doing, uint64_t rows) const;
  static Done interrupted();
  std::expected<mail::Template, SubmissionFailure> compile_with(
      const std::vector<mail::ColumnStatistics>& statistics) const;
  std::unexpected<SubmissionFailure> spill_failure(int error) const;
  void note_destination(uint64_t recipients);
  Preview preview_of(std::string_view entry, uint32_t number) const;

  SubmissionOptions options_;
  io::Proactor& proactor_;
  Receipt receipt_;
  spool::CampaignInfo info_;
  std::string message_;
  std::unique_ptr<RecipientList> list_;
  std::optional<mail::Template> template_;
  std::unique_ptr<spool::CampaignWriter> writer_;  // not for a look
  std::unique_ptr<DestinationSort> sort_;
  std::unique_ptr<RejectedRows> rejected_rows_;
  std::vector<std::string> row_errors_;
  uint64_t row_error_count_ = 0;
  std::string destination_;  // the group being written
  std::unordered_map<std::string, size_t>
      wanted_previews_;  // by folded address: place in previews_
  std::vector<Preview> previews_;
};

}  // namespace sluice::engine::intake
