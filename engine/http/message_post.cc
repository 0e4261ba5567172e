#include "engine/http/message_post.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/intake/shown.h"
#include "engine/mail/local_message.h"
#include "engine/report/json_writer.h"
#include "io/uring.h"
#include "spool/campaign_finder.h"
#include "spool/campaign_name.h"

namespace sluice::engine::http {
namespace {

Response mistakes_response(unsigned status, const std::vector<std::string>& mistakes) {
  const nlohmann::ordered_json out = {{"error", mistakes.front()}, {"mistakes", mistakes}};
  return {.status = status,
          .body = out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

/// Of our own files.
Response disk_response(const std::string& folder, int error) {
  const std::string text = fmt::format("{}: {}", folder, std::strerror(error));
  return error == ENOSPC || error == EDQUOT ? later_response(text) : error_response(500, text);
}

Response failure_response(const intake::SubmissionFailure& failure) {
  using enum intake::SubmissionFailure::Kind;
  switch (failure.kind) {
    case usage:
    case data:        return mistakes_response(422, failure.lines);
    case try_later:
    case interrupted: return later_response(failure.lines.front());
    default:          return error_response(500, failure.lines.front());
  }
}

/// The body of an answer, written before the hand-off: what comes after it cannot fail. In memory
/// while it is small, then in a file without a name.
class AnswerWriter {
 public:
  explicit AnswerWriter(const std::string& folder) : folder_(folder) {}
  AnswerWriter(const AnswerWriter&) = delete;
  AnswerWriter& operator=(const AnswerWriter&) = delete;
  ~AnswerWriter() {
    if (reader_ >= 0) close(reader_);
  }

  std::string& text() { return text_; }
  /// To be called now and then. False: error() says why not.
  bool spill() {
    constexpr size_t memory_bytes_max = 1024 * 1024;
    return text_.size() < memory_bytes_max || flush();
  }
  int error() const { return error_; }

  /// The last octets are in text().
  bool finish() {
    if (!file_) return true;
    if (!flush()) return false;
    const auto reader = file_->reader();
    if (!reader) return fail(reader.error());
    reader_ = *reader;
    return true;
  }
  Response response() {
    return {.status = 202, .body = std::move(text_), .file = std::exchange(reader_, -1)};
  }

 private:
  bool flush() {
    if (!file_) {
      auto file = intake::SpillFile::create(folder_);
      if (!file) return fail(file.error());
      file_.emplace(std::move(*file));
    }
    if (auto done = file_->write(bytes_, text_); !done) return fail(done.error());
    bytes_ += text_.size();
    text_.clear();
    return true;
  }
  bool fail(int error) {
    error_ = error;
    return false;
  }

  const std::string folder_;
  std::string text_;
  std::optional<intake::SpillFile> file_;
  uint64_t bytes_ = 0;  // of the file
  int reader_ = -1;     // of the file, complete
  int error_ = 0;
};

}  // namespace

bool Room::take(uint64_t bytes) {
  if (body_bytes_.fetch_add(bytes) + bytes <= body_bytes_max) return true;
  body_bytes_ -= bytes;
  return false;
}

MessagePost::MessagePost(const Config& config, const report::Readiness& readiness, Room& room,
                         Body body, std::string key)
    : config_(config), readiness_(readiness), room_(room), body_(body), key_(std::move(key)) {}

MessagePost::~MessagePost() { room_.give_back(head_.size()); }

Response MessagePost::too_large(Body body) {
  return error_response(
      413, fmt::format("{} of more than {} octets; a list of any length goes as "
                       "application/x-ndjson",
                       body == Body::document ? "a document" : "a first line", document_bytes_max));
}

bool MessagePost::refuse(Response&& response) {
  refusal_ = std::move(response);
  return false;
}

bool MessagePost::take(std::string_view octets) {
  if (body_ == Body::document) return take_head(octets);
  if (!has_head_) {
    const size_t end = octets.find('\n');
    has_head_ = end != octets.npos;
    if (!take_head(octets.substr(0, end))) return false;
    // A line's end in place of the first line: rows keep the number of their line.
    if (!has_head_) return true;
    octets.remove_prefix(end);
  }
  return take_row(octets);
}

bool MessagePost::take_head(std::string_view octets) {
  if (head_.size() + octets.size() > document_bytes_max) return refuse(too_large(body_));
  if (!room_.take(octets.size())) return refuse(later_response("too many large requests at once"));
  head_ += octets;
  return true;
}

bool MessagePost::take_row(std::string_view octets) {
  if (!rows_) {
    auto file = intake::SpillFile::create(config_.spool);
    if (!file) return refuse(disk_response(config_.spool, file.error()));
    rows_.emplace(std::move(*file));
  }
  if (auto done = rows_->write(rows_bytes_, octets); !done)
    return refuse(disk_response(config_.spool, done.error()));
  rows_bytes_ += octets.size();
  return true;
}

Response MessagePost::answer() {
  if (refusal_) return std::move(*refusal_);
  if (body_ == Body::stream && !has_head_)
    return error_response(400, "body:2: no recipients; each is a line behind the first");
  auto order =
      MessageOrder::parse(head_, body_ == Body::document ? MessageOrder::Form::document
                                                         : MessageOrder::Form::stream_head);
  if (!order) return mistakes_response(400, order.error());
  std::string& campaign = order->options.campaign;
  if (!key_.empty() && !campaign.empty() && campaign != key_)
    return error_response(400, "campaign: it differs from the header Idempotency-Key");
  if (campaign.empty()) campaign = key_;
  order->options.is_repeatable = !campaign.empty();
  if (!campaign.empty() && !spool::is_campaign_id(campaign))
    return error_response(
        400, fmt::format("campaign: 1 to {} octets of UTF-8 without control characters are wanted",
                         spool::campaign_id_bytes_max));

  const Room::Worker worker(room_);
  const auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
  if (!ring) return later_response(ring.error().message);
  return submit(*std::move(order), **ring);
}

Response MessagePost::submit(MessageOrder&& order, io::Proactor& proactor) {
  intake::SubmissionOptions& options = order.options;
  options.spool = config_.spool;
  options.hostname = config_.hostname;
  if (!options.source.empty() && !config_.has_source(options.source))
    return error_response(400, "source: the configuration has none of that name");
  if (options.is_literal) {
    const std::string own = "postmaster@" + config_.hostname;
    order.text = mail::LocalMessage(order.text)
                     .complete({.name = "",
                                .address = options.from.empty() ? own : options.from,
                                .message_id = fmt::format("<{:016x}.0@{}>", proactor.random(),
                                                          config_.hostname),
                                .date = proactor.wall()});
  }
  // Twice when another request with the same key was faster.
  for (int tried = 1;; ++tried) {
    auto answer = try_to_submit(order, proactor);
    if (answer) return *std::move(answer);
    if (answer.error().status != 0 || tried == 2) return std::move(answer.error());
  }
}

/// The error with status 0: the campaign is known by now.
std::expected<Response, Response> MessagePost::try_to_submit(const MessageOrder& order,
                                                             io::Proactor& proactor) {
  std::optional<Known> known;
  if (!order.options.campaign.empty()) {
    auto found = find_known(order.options.campaign, proactor);
    if (!found) return std::unexpected(std::move(found.error()));
    known = *found;
  }
  intake::SubmissionOptions options = order.options;
  options.at_hand = order.text;
  options.dry_run = known.has_value();
  intake::Submission submission(std::move(options), proactor);
  auto list = open_list(order);
  if (!list) return std::unexpected(std::move(list.error()));
  submission.set_list(*std::move(list));
  submission.progress = [this](const char*, uint64_t) { return !readiness_.is_stopping(); };

  AnswerWriter answer(config_.spool);
  report::JsonObject object(answer.text());
  object.begin("messages") += '[';
  submission.numbered = [&](uint64_t uid, uint32_t number, std::string_view address) {
    if (number > 0) answer.text() += ',';
    report::JsonObject message(answer.text());
    message.string("recipient", address);
    message.string("id", fmt::format("{:016x}.{}", known ? known->uid : uid, number));
    message.end();
    return answer.spill();
  };
  submission.all_numbered = [&](const intake::Receipt& receipt) {
    answer.text() += ']';
    object.string("campaign", receipt.campaign);
    object.string("uid", fmt::format("{:016x}", known ? known->uid : receipt.uid));
    object.number("recipients", receipt.recipients);
    object.number("duplicates", receipt.duplicates);
    object.end();
    answer.text() += '\n';
    return answer.finish();
  };
  const auto receipt = submission.run();
  if (answer.error() != 0) return std::unexpected(disk_response(config_.spool, answer.error()));
  if (!receipt) return std::unexpected(failure_response(receipt.error()));
  if (receipt->was_known) return std::unexpected(Response{.status = 0});
  if (known && known->recipients != receipt->recipients)
    return std::unexpected(
        error_response(409, fmt::format("{} was used before, with {} recipients; now there are {}",
                                        intake::shown(order.options.campaign), known->recipients,
                                        receipt->recipients)));
  Response response = answer.response();
  if (known) response.headers.emplace_back("Idempotent-Replayed", "true");
  return response;
}

std::expected<std::optional<MessagePost::Known>, Response> MessagePost::find_known(
    const std::string& campaign, io::Proactor& proactor) const {
  const auto opened = spool::find_campaign(proactor, config_.spool, campaign);
  if (!opened) {
    if (opened.error().code == spool::ErrorCode::missing) return std::nullopt;
    return std::unexpected(error_response(500, opened.error().message));
  }
  Known known{.uid = opened->info.uid, .recipients = opened->summary.recipients};
  if (opened->campaign) {
    known.recipients = opened->campaign->recipients();
    io::CloseFile close;
    close.file = opened->campaign->file();
    io::run(proactor, close);
  }
  return known;
}

std::expected<std::unique_ptr<intake::RecipientList>, Response> MessagePost::open_list(
    const MessageOrder& order) const {
  if (body_ == Body::document) {
    auto list = intake::RecipientList::read(intake::ListFile::holding(order.recipients), "to");
    if (list) return *std::move(list);
    return std::unexpected(mistakes_response(422, {list.error().text}));
  }
  const auto descriptor = rows_->reader();
  if (!descriptor) return std::unexpected(disk_response(config_.spool, descriptor.error()));
  auto list = intake::RecipientList::read(intake::ListFile::adopt(*descriptor), "body");
  if (list) return *std::move(list);
  return std::unexpected(mistakes_response(422, {list.error().text}));
}

}  // namespace sluice::engine::http
