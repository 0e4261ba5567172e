#include "engine/http/site.h"

#include <fmt/format.h>

#include <functional>
#include <string_view>

#include "engine/mail/charset.h"
#include "engine/report/fate_finder.h"
#include "engine/report/metrics.h"
#include "engine/report/queue_summary.h"
#include "engine/report/spool_view.h"
#include "engine/tlsrpt/day_folder.h"
#include "io/uring.h"

namespace sluice::engine::http {
namespace {

/// An answer that needs no body of the request.
class Look final : public Exchange {
 public:
  explicit Look(std::function<Response()> answer) : answer_(std::move(answer)) {}
  bool take(std::string_view) override { return false; }
  Response answer() override { return answer_(); }

 private:
  const std::function<Response()> answer_;
};

Response text_response(unsigned status, std::string_view text) {
  return {.status = status, .type = "text/plain; charset=utf-8", .body = fmt::format("{}\n", text)};
}

Response not_allowed(std::string_view methods) {
  Response response = error_response(405, fmt::format("this path is for {}", methods));
  response.headers.emplace_back("Allow", methods);
  return response;
}

Response unauthorized() {
  Response response = error_response(401, "a bearer token is needed: Authorization: Bearer TOKEN");
  response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"sluice\"");
  return response;
}

/// Of a Content-Type, in lower case, without its parameters.
std::string media_type(std::string_view field) {
  return mail::to_lower(field.substr(0, field.find_first_of("; ")));
}

}  // namespace

bool Site::has_token(const Request& request) const {
  return token_ && token_->is_in(request.header("Authorization"));
}

/// Why this client may not even look.
std::optional<Response> Site::refusal(const Request& request) const {
  if (request.is_from_loopback || has_token(request)) return {};
  if (!token_)
    return error_response(403,
                          "only clients of this machine are served: no admin.token_file is set");
  return unauthorized();
}

Site::Begun Site::begin(const Request& request) {
  constexpr std::string_view messages = "/v1/messages";
  if (request.path == messages) return begin_post(request);
  const bool is_fate =
      request.path.starts_with(messages) && request.path.substr(messages.size()).starts_with('/');
  using Answer = std::function<Response()>;
  Answer answer;
  if (request.path == "/healthz") answer = [this] { return health(); };
  if (request.path == "/readyz") answer = [this] { return readiness(); };
  const bool is_public = answer != nullptr;
  if (request.path == "/metrics") answer = [this] { return metrics(); };
  if (request.path == "/v1/queue") answer = [this] { return queue(); };
  if (request.path == "/v1/tls-reports") answer = [this] { return tls_reports(); };
  if (is_fate)
    answer = [this, id = std::string(request.path.substr(messages.size() + 1))] {
      return fate(id);
    };
  if (!is_public)
    if (auto refused = refusal(request)) return std::unexpected(std::move(*refused));
  if (!answer) return std::unexpected(error_response(404, "no such path"));
  if (request.method != "GET" && request.method != "HEAD")
    return std::unexpected(not_allowed("GET, HEAD"));
  return std::make_unique<Look>(std::move(answer));
}

Site::Begun Site::begin_post(const Request& request) {
  if (!token_)
    return std::unexpected(
        error_response(403, "nothing can be handed off: no admin.token_file is set"));
  if (!has_token(request)) return std::unexpected(unauthorized());
  if (request.method != "POST") return std::unexpected(not_allowed("POST"));
  const std::string type = media_type(request.header("Content-Type"));
  const bool is_stream = type == "application/x-ndjson";
  if (!is_stream && type != "application/json")
    return std::unexpected(
        error_response(415, "the body is application/json or application/x-ndjson"));
  if (!is_stream && request.content_length() > MessagePost::document_bytes_max)
    return std::unexpected(MessagePost::too_large(MessagePost::Body::document));
  if (const std::string problem = engine_.readiness.problem(); !problem.empty())
    return std::unexpected(later_response(problem));
  return std::make_unique<MessagePost>(
      engine_.config.get(), engine_.readiness, room_,
      is_stream ? MessagePost::Body::stream : MessagePost::Body::document,
      std::string(request.header("Idempotency-Key")));
}

Response Site::health() const { return text_response(200, "ok"); }

Response Site::readiness() const {
  const std::string problem = engine_.readiness.problem();
  return problem.empty() ? text_response(200, "ready") : text_response(503, problem);
}

Response Site::metrics() const {
  return {.type = report::metrics_type,
          .body = report::metrics_text(engine_.counters, engine_.readiness.problem().empty())};
}

/// Read from the spool's files, as `sluice queue summary` does.
Response Site::queue() {
  const Room::Worker worker(room_);
  const auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
  if (!ring) return later_response(ring.error().message);
  const auto view = report::SpoolView::open(**ring, engine_.config.get());
  if (!view) return later_response(view.error().message);
  const auto summary = report::QueueSummary::of(
      **view, report::QueueSummary::By::destination, [](const report::WaitingMail& mail) {
        return std::vector<Range>{{0, mail.campaign().recipients()}};
      });
  return {.body = summary.json(**view, queue_rows_max)};
}

/// As it was written last: up to a minute ago.
Response Site::tls_reports() {
  const Room::Worker worker(room_);
  return {.body = tlsrpt::DayFolder(engine_.config.get().spool).json()};
}

Response Site::fate(const std::string& id) {
  const Room::Worker worker(room_);
  const auto ring = io::open_uring({.entries = 64, .sockets_max = 16, .receive_buffers = 16});
  if (!ring) return later_response(ring.error().message);
  report::FateFinder finder(**ring, engine_.config.get());
  const auto found = finder.find(id);
  if (!found) return later_response(found.error());
  if (*found) return {.body = **found};
  if (finder.was_cut_short())
    return later_response("the log is too long to be searched; sluice log --id has the time");
  return error_response(404, "neither the spool nor the log knows it");
}

}  // namespace sluice::engine::http
