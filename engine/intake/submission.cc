#include "engine/intake/submission.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

#include "engine/intake/shown.h"
#include "engine/intake/suppression_list.h"
#include "engine/recipient.h"
#include "io/check.h"

namespace sluice::engine::intake {
namespace {

using Failure = SubmissionFailure;
using Kind = SubmissionFailure::Kind;

constexpr uint64_t progress_rows = 32 * 1024;
constexpr size_t destinations_shown_max = 10;

std::unexpected<Failure> failure(Kind kind, std::string line) {
  return std::unexpected(Failure{kind, {std::move(line)}});
}

std::unexpected<Failure> failure(const ListError& error) {
  switch (error.kind) {
    case ListError::Kind::data:        return failure(Kind::data, error.text);
    case ListError::Kind::missing:     return failure(Kind::no_input, error.text);
    case ListError::Kind::not_allowed: return failure(Kind::not_allowed, error.text);
    case ListError::Kind::io:          break;
  }
  return failure(Kind::io, error.text);
}

std::unexpected<Failure> failure(const spool::Error& error) {
  switch (error.code) {
    case spool::ErrorCode::no_space:
    case spool::ErrorCode::locked:        return failure(Kind::try_later, error.message);
    case spool::ErrorCode::not_allowed:   return failure(Kind::not_allowed, error.message);
    case spool::ErrorCode::missing:       return failure(Kind::cannot_create, error.message);
    case spool::ErrorCode::newer_version: return failure(Kind::unavailable, error.message);
    case spool::ErrorCode::damaged:
    case spool::ErrorCode::io:            break;
  }
  const bool is_no_folder =
      error.error == ENOTDIR || error.error == ENOENT || error.error == EISDIR;
  return failure(is_no_folder ? Kind::cannot_create : Kind::io, error.message);
}

std::unexpected<Failure> failure(const std::string& path, const char* what, int error) {
  const Kind kind = error == ENOSPC || error == EDQUOT                       ? Kind::try_later
                    : error == EACCES || error == EPERM || error == EROFS    ? Kind::not_allowed
                    : error == ENOENT || error == ENOTDIR || error == EISDIR ? Kind::cannot_create
                                                                             : Kind::io;
  return failure(kind, fmt::format("{}: {}: {}", path, what, std::strerror(error)));
}

/// Readable, sorted by time, and different for each: 20261122T050812-k3f9a2.
std::string made_up_campaign(io::WallTime now, uint64_t random) {
  constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
  const auto seconds = static_cast<time_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::string id(text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%S-", &utc));
  for (unsigned i = 0; i < 6; ++i) id.push_back(letters[random >> (5 * i) & 31]);
  return id;
}

bool is_campaign_id(std::string_view id) {
  const bool has_control =
      std::ranges::any_of(id, [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  return !id.empty() && id.size() <= spool::campaign_id_bytes_max && !has_control &&
         simdjson::validate_utf8(id);
}

/// As the sort compares addresses.
std::string folded(std::string_view address) {
  std::string text(address);
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

std::string scratch_folder() {
  const char* folder = ::secure_getenv("TMPDIR");
  return folder != nullptr && *folder != '\0' ? folder : "/tmp";
}

}  // namespace

std::expected<Receipt, SubmissionFailure> Submission::run() {
  using Step = Done (Submission::*)();
  for (const Step step :
       {&Submission::check_options, &Submission::read_message, &Submission::open_list,
        &Submission::look_at_template, &Submission::open_campaign}) {
    if (Done done = (this->*step)(); !done) return std::unexpected(std::move(done.error()));
  }
  if (receipt_.was_known) return std::move(receipt_);
  for (const Step step :
       {&Submission::read_suppressions, &Submission::read_rows, &Submission::compile,
        &Submission::write_recipients, &Submission::commit}) {
    if (Done done = (this->*step)(); !done) return std::unexpected(std::move(done.error()));
  }
  return std::move(receipt_);
}

Submission::Done Submission::check_options() {
  for (const auto& [option, value] : {std::pair("--from", &options_.from),
                                      {"--next-hop", &options_.next_hop},
                                      {"--source", &options_.source},
                                      {"--unsubscribe", &options_.unsubscribe}}) {
    if (value->size() > CampaignMessage::text_bytes_max) {
      return failure(Kind::usage, fmt::format("{}: more than {} octets", option,
                                              CampaignMessage::text_bytes_max));
    }
  }
  while (info_.uid == 0) info_.uid = proactor_.random();
  receipt_.uid = info_.uid;
  info_.accepted_at = proactor_.wall();
  info_.id = options_.campaign.empty() ? made_up_campaign(info_.accepted_at, proactor_.random())
                                       : options_.campaign;
  if (!is_campaign_id(info_.id)) {
    return failure(
        Kind::usage,
        fmt::format("--campaign {}: 1 to {} octets of UTF-8 without control characters are wanted",
                    shown(info_.id), spool::campaign_id_bytes_max));
  }
  info_.is_repeatable = options_.is_repeatable;
  receipt_.campaign = info_.id;
  return {};
}

Submission::Done Submission::read_message() {
  if (options_.at_hand) {
    message_ = *std::exchange(options_.at_hand, std::nullopt);
  } else if (auto done = read_message_file(); !done) {
    return done;
  }
  if (message_.size() <= mail::Template::message_bytes_max) return {};
  return failure(Kind::data, fmt::format("{}: the message is larger than {} octets",
                                         options_.message, mail::Template::message_bytes_max));
}

Submission::Done Submission::read_message_file() {
  auto file = ListFile::open(options_.message);
  if (!file) return failure(unreadable(options_.message, file.error()));
  constexpr size_t step_bytes = 1024 * 1024;
  while (message_.size() <= mail::Template::message_bytes_max) {
    const size_t before = message_.size();
    message_.resize(before + step_bytes);
    const auto got = file->read(std::span(message_).subspan(before));
    if (!got) return failure(unreadable(options_.message, got.error()));
    message_.resize(before + *got);
    if (*got < step_bytes) break;
  }
  return {};
}

Submission::Done Submission::open_list() {
  if (list_ == nullptr) {
    auto list = RecipientList::open(options_.recipients);
    if (!list) return failure(list.error());
    list_ = std::move(*list);
  }
  if (!options_.is_literal || list_->columns().size() == 1) return {};
  return failure(
      Kind::data,
      fmt::format("{}: the message goes out as it is, and takes no merge fields", list_->name()));
}

std::expected<mail::Template, SubmissionFailure> Submission::compile_with(
    const std::vector<mail::ColumnStatistics>& statistics) const {
  if (options_.is_literal) return mail::Template::literal(message_, options_.from);
  auto compiled = mail::Template::compile({.message = message_,
                                           .path = options_.message,
                                           .columns = list_->columns(),
                                           .statistics = statistics,
                                           .sender = options_.from,
                                           .unsubscribe_url = options_.unsubscribe,
                                           .message_id_domain = options_.hostname,
                                           .campaign_uid = info_.uid,
                                           .date = info_.accepted_at});
  if (compiled) return std::move(*compiled);
  Failure why{Kind::data, {}};
  for (mail::TemplateError& error : compiled.error()) why.lines.push_back(std::move(error.text));
  return std::unexpected(std::move(why));
}

/// Mistakes in the message are told before a list of any length is read.
Submission::Done Submission::look_at_template() {
  auto compiled = compile_with({});
  if (!compiled) return std::unexpected(std::move(compiled.error()));
  if (!options_.priority) options_.priority = priority_of(message_);
  std::vector<bool> forbidden(compiled->columns());
  for (size_t i = 0; i < forbidden.size(); ++i) forbidden[i] = compiled->forbids_newline(i);
  list_->forbid_newlines(std::move(forbidden));
  return {};
}

Submission::Done Submission::open_campaign() {
  if (!is_look()) {
    auto writer = spool::CampaignWriter::create(proactor_, options_.spool, info_);
    if (!writer) return failure(writer.error());
    writer_ = std::move(*writer);
    receipt_.was_known = writer_->is_known();
  }
  sort_ = std::make_unique<DestinationSort>(options_.sort_bytes,
                                            is_look() ? scratch_folder() : options_.spool);
  return {};
}

Submission::Done Submission::read_suppressions() {
  if (options_.suppress.empty()) return {};
  auto list = SuppressionList::open(options_.suppress);
  if (!list) return failure(list.error());
  Failure why{Kind::data, {}};
  uint64_t errors = 0;
  for (std::string_view address;;) {
    const auto status = (*list)->next(address);
    if (status == SuppressionList::Status::end) break;
    if (status == SuppressionList::Status::address) {
      if (auto done = sort_->suppress(address); !done) return spill_failure(done.error());
      continue;
    }
    if (status == SuppressionList::Status::broken && errors == 0) return failure((*list)->error());
    if (++errors <= errors_shown_max) why.lines.push_back((*list)->error().text);
    if (status == SuppressionList::Status::broken) break;
  }
  if (errors == 0) return {};
  if (errors > errors_shown_max)
    why.lines.push_back(fmt::format("and {} more", errors - errors_shown_max));
  return std::unexpected(std::move(why));
}

Submission::Done Submission::read_rows() {
  ListEntry entry;
  for (;;) {
    const auto status = list_->next(entry);
    if (status == RecipientList::Status::end) break;
    if (status == RecipientList::Status::broken &&
        (list_->error().kind != ListError::Kind::data || options_.skip_invalid)) {
      return failure(list_->error());
    }
    if (list_->rows() % progress_rows == 0) {
      if (auto done = still_wanted("read", list_->rows()); !done) return done;
    }
    if (status == RecipientList::Status::entry) {
      if (row_error_count_ > 0 && !options_.skip_invalid)
        continue;  // only looking for more mistakes
      if (auto done = sort_->add(entry.encoded, entry.address, entry.local_bytes); !done)
        return spill_failure(done.error());
      if (wanted_previews_.size() < options_.preview)
        wanted_previews_.try_emplace(folded(entry.address), wanted_previews_.size());
      continue;
    }
    if (++row_error_count_ <= errors_shown_max) row_errors_.push_back(list_->error().text);
    if (status == RecipientList::Status::broken) break;
    if (options_.skip_invalid) {
      if (auto done = reject_row(); !done) return done;
    }
  }
  if (row_error_count_ > 0 && !options_.skip_invalid) {
    Failure why{Kind::data, std::move(row_errors_)};
    if (row_error_count_ > errors_shown_max)
      why.lines.push_back(fmt::format("and {} more", row_error_count_ - errors_shown_max));
    return std::unexpected(std::move(why));
  }
  receipt_.rejected = row_error_count_;
  if (list_->rows() == 0)
    return failure(Kind::data, fmt::format("{}: the list holds no recipients", list_->name()));
  return {};
}

Submission::Done Submission::reject_row() {
  if (is_look()) return {};
  if (rejected_rows_ == nullptr) {
    receipt_.rejected_path =
        (options_.recipients == "-" ? "recipients" : options_.recipients) + ".rejected.csv";
    auto rows = RejectedRows::create(
        receipt_.rejected_path, list_->is_json() ? std::vector<std::string>{} : list_->columns());
    if (!rows) return failure(receipt_.rejected_path, "cannot be written", rows.error());
    rejected_rows_ = std::move(*rows);
  }
  if (auto done = rejected_rows_->add(list_->bad_row_reason(), list_->bad_row()); !done) {
    return failure(receipt_.rejected_path, "cannot be written", done.error());
  }
  return {};
}

/// Now that it is known what the columns hold.
Submission::Done Submission::compile() {
  auto compiled = compile_with(list_->statistics());
  if (!compiled) return std::unexpected(std::move(compiled.error()));
  template_.emplace(std::move(*compiled));
  message_ = {};
  return {};
}

Submission::Done Submission::write_recipients() {
  previews_.resize(wanted_previews_.size());
  if (auto done = sort_->finish(); !done) return spill_failure(done.error());
  uint64_t destination_recipients = 0;
  for (;;) {
    const auto sorted = sort_->next();
    if (!sorted) return spill_failure(sorted.error());
    if (!*sorted || (*sorted)->domain != destination_) {
      note_destination(destination_recipients);
      destination_recipients = 0;
    }
    if (!*sorted) break;
    if (auto done = write_recipient(**sorted, destination_recipients++ == 0); !done) return done;
  }
  receipt_.duplicates = sort_->duplicates();
  receipt_.suppressed = sort_->suppressed();
  std::erase_if(previews_, [](const Preview& preview) { return preview.recipient.empty(); });
  if (receipt_.recipients > 0)
    return !all_numbered || all_numbered(receipt_) ? Done() : interrupted();
  return failure(Kind::data,
                 fmt::format("{}: nobody is left to send to: {} rejected, {} suppressed",
                             list_->name(), receipt_.rejected, receipt_.suppressed));
}

Submission::Done Submission::write_recipient(const DestinationSort::Sorted& sorted,
                                             bool is_first_of_destination) {
  if (receipt_.recipients == UINT32_MAX)
    return failure(Kind::data,
                   fmt::format("{}: more than {} recipients", list_->name(), UINT32_MAX));
  if (is_first_of_destination) {
    destination_ = sorted.domain;
    if (writer_ != nullptr) {
      if (auto done = writer_->begin_group(destination_); !done) return failure(done.error());
    }
  }
  const auto number = static_cast<uint32_t>(receipt_.recipients++);
  if (writer_ != nullptr) {
    if (auto done = writer_->add(std::as_bytes(std::span(sorted.entry))); !done)
      return failure(done.error());
  }
  if (numbered && !numbered(info_.uid, number, sorted.address)) return interrupted();
  if (!wanted_previews_.empty()) {
    const auto wanted = wanted_previews_.find(folded(sorted.address));
    if (wanted != wanted_previews_.end())
      previews_[wanted->second] = preview_of(sorted.entry, number);
  }
  if (receipt_.recipients % progress_rows == 0) return still_wanted("written", receipt_.recipients);
  return {};
}

/// `destination_` is complete.
void Submission::note_destination(uint64_t recipients) {
  if (recipients == 0) return;
  ++receipt_.destinations_count;
  auto& largest = receipt_.destinations;
  const auto place =
      std::ranges::find_if(largest, [&](const auto& other) { return other.second < recipients; });
  largest.emplace(place, destination_, recipients);
  if (largest.size() > destinations_shown_max) largest.pop_back();
}

Preview Submission::preview_of(std::string_view entry, uint32_t number) const {
  Recipient recipient;
  CHECK(recipient.decode(std::as_bytes(std::span(entry)), template_->columns()));
  mail::Merge merge;
  merge.begin(*template_, recipient, number);
  Preview preview{.recipient = std::string(recipient.address)};
  merge.sender(preview.sender);
  std::array<char, 16 * 1024> piece;
  bool at_line_start = true;
  while (const size_t bytes = merge.read(piece)) {
    for (const char c : std::string_view(piece.data(), bytes)) {
      // RFC 5321 section 4.5.2: a dot in front of a line is the transfer's, not the message's.
      if (!(at_line_start && c == '.')) preview.content.push_back(c);
      at_line_start = c == '\n';
    }
  }
  return preview;
}

Submission::Done Submission::commit() {
  if (auto done = still_wanted("written", receipt_.recipients); !done) return done;
  if (rejected_rows_ != nullptr) {
    if (auto done = rejected_rows_->flush(); !done) {
      return failure(receipt_.rejected_path, "cannot be written", done.error());
    }
  }
  if (writer_ == nullptr) return {};
  const std::string content = template_->encode();
  const CampaignMessage message{.recipients_need = list_->recipients_need(),
                                .is_tls_optional = options_.is_tls_optional,
                                .notices = options_.notices,
                                .priority = *options_.priority,
                                .dsn = {.notify = options_.notify,
                                        .returned = options_.returned,
                                        .envelope_id = options_.envelope_id},
                                .next_hop = options_.next_hop,
                                .source = options_.source,
                                .sender = options_.from,
                                .message_id_domain = options_.hostname,
                                .columns = {list_->columns().begin(), list_->columns().end()},
                                .content = std::as_bytes(std::span(content))};
  const std::string encoded = message.encode();
  const auto committed = writer_->commit(std::as_bytes(std::span(encoded)));
  if (!committed) return failure(committed.error());
  if (rejected_rows_ != nullptr) rejected_rows_->keep();
  receipt_.bytes = committed->bytes;
  if (committed->was_known) receipt_ = {.campaign = info_.id, .uid = info_.uid, .was_known = true};
  return {};
}

Submission::Done Submission::still_wanted(const char* doing, uint64_t rows) const {
  if (!progress || progress(doing, rows)) return {};
  return interrupted();
}

Submission::Done Submission::interrupted() {
  return failure(Kind::interrupted, "interrupted: nothing was handed off");
}

std::unexpected<SubmissionFailure> Submission::spill_failure(int error) const {
  return failure(is_look() ? scratch_folder() : options_.spool, "sorting the list needs room there",
                 error);
}

}  // namespace sluice::engine::intake
