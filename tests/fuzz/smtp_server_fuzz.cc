// The server machine against any client. The first octet says what is offered and how the caller
// answers; the rest is what the client says, heard whole and an octet at a time: both must come to
// the same, and no message may hold what could be read as the end of one.

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/smtp/server.h"
#include "io/check.h"

namespace {

using namespace sluice::engine::smtp;
using Event = Server::Event;

class Session {
 public:
  /// Without STARTTLS: what lies behind it in one piece is refused, and not in two.
  explicit Session(uint8_t mode)
      : mode_(mode),
        options_{.hostname = "mx.example",
                 .message_bytes_max = 300,
                 .recipients_max = 3,
                 .transactions_max = 9,
                 .offers_auth = (mode & 1) != 0,
                 .offers_etrn = (mode & 2) != 0} {
    if ((mode & 1) != 0) server_.tls_started();
    server_.greet(heard_);
  }

  std::string hear(std::string_view said, size_t piece_bytes) {
    for (size_t at = 0; at < said.size(); at += piece_bytes) {
      auto input = std::as_bytes(std::span(said.substr(at, piece_bytes)));
      for (Event event; (event = server_.next(input, heard_)) != Event::needs_input;) {
        if (event == Event::closed) return heard_ + "closed";
        happen(event);
      }
      CHECK(input.empty());
    }
    return heard_;
  }

 private:
  void happen(Event event) {
    if (event == Event::replied) return;
    if (event == Event::piece) {
      content_ += server_.piece();
      return;
    }
    heard_ += static_cast<char>('0' + static_cast<int>(event));
    if (event == Event::content || event == Event::dropped) content_.clear();
    if (event == Event::message) check_message();
    if (event == Event::rcpt) CHECK(server_.envelope().recipients().size() <= 3);
    if (!server_.is_owed()) return;
    ++answers_;
    const bool is_no = (mode_ & 4) != 0 && answers_ % 3 == 0;
    server_.answer(heard_, is_no ? "450 4.3.0 no" : event == Event::etrn ? "250 2.0.0 yes" : "");
    if ((mode_ & 8) != 0 && event == Event::content && !is_no)
      server_.refuse_message("554 5.4.6 no");
  }

  void check_message() {
    CHECK(server_.content_bytes() == content_.size());
    CHECK(content_.empty() || content_.ends_with("\r\n"));
    CHECK(("\r\n" + content_).find("\r\n.\r\n") == std::string::npos);
    bool is_8bit = false;
    for (size_t i = 0; i < content_.size(); ++i) {
      CHECK(content_[i] != '\0');
      if (content_[i] == '\r') CHECK(content_[i + 1] == '\n');
      if (content_[i] == '\n') CHECK(i > 0 && content_[i - 1] == '\r');
      is_8bit |= (content_[i] & 0x80) != 0;
    }
    CHECK(server_.is_8bit() == is_8bit);
    heard_ += content_;
  }

  uint8_t mode_;
  ServerOptions options_;
  Server server_{options_};
  unsigned answers_ = 0;
  std::string heard_, content_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view said(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Session(data[0]).hear(said, said.size() + 1);
  CHECK(Session(data[0]).hear(said, 1) == whole);
  CHECK(Session(data[0]).hear(said, 17) == whole);
  return 0;
}
