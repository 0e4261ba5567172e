#include "engine/http/message_order.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "engine/intake/address.h"
#include "engine/intake/shown.h"
#include "engine/report/json_writer.h"

namespace sluice::engine::http {
namespace {

using intake::shown;
using simdjson::dom::element;

class OrderReader {
 public:
  explicit OrderReader(MessageOrder::Form form) : form_(form) {}

  std::expected<MessageOrder, std::vector<std::string>> run(std::string_view json) {
    simdjson::dom::parser parser;
    element document;
    if (const auto code = parser.parse(json.data(), json.size()).get(document); code) {
      wrong("no JSON", simdjson::error_message(code));
    } else if (simdjson::dom::object object; document.get(object)) {
      wrong("no JSON object", "the keys are in docs/openapi.json");
    } else {
      for (const auto [key, value] : object) member(key, value);
      check();
    }
    if (!mistakes_.empty()) return std::unexpected(std::move(mistakes_));
    return std::move(order_);
  }

 private:
  static constexpr size_t mistakes_max = 100;

  void wrong(std::string_view where, std::string_view what) {
    if (mistakes_.size() < mistakes_max) mistakes_.push_back(fmt::format("{}: {}", where, what));
  }

  void member(std::string_view key, element value) {
    if (key == "to" && form_ == MessageOrder::Form::document) return read_to(value);
    std::string_view text;
    const bool is_text = value.get(text) == simdjson::SUCCESS;
    const auto known = std::ranges::find(texts, key, &Text::key);
    if (known == std::end(texts))
      wrong(shown(key), key == "to" ? "of a stream, recipients are the lines behind the first"
                                    : "this key is not known");
    else if (!is_text)
      wrong(key, "a string is wanted");
    else
      (this->*known->read)(text);
  }

  // Each says itself what is wrong with it.
  void read_from(std::string_view text) {
    has_from_ = true;
    order_.options.from = text;
  }
  void read_message(std::string_view text) { take_text(text, true); }
  void read_template(std::string_view text) { take_text(text, false); }
  void read_campaign(std::string_view text) {
    if (text.empty()) wrong("campaign", "it is empty");
    order_.options.campaign = text;
  }
  void read_unsubscribe(std::string_view text) { order_.options.unsubscribe = text; }
  void read_source(std::string_view text) { order_.options.source = text; }
  void read_priority(std::string_view text) {
    order_.options.priority = parse_priority(text);
    if (!order_.options.priority) wrong("priority", "it is urgent, normal or non-urgent");
  }
  void read_notices(std::string_view text) {
    if (text != "log" && text != "sender") return wrong("notices", "it is log or sender");
    order_.options.notices = text == "log" ? Notices::log : Notices::sender;
  }
  void read_notify(std::string_view text) {
    const auto notify = smtp::parse_notify(text);
    if (!notify) return wrong("notify", "it is never, or success, failure and delay with commas");
    order_.options.notify = *notify;
  }
  void read_ret(std::string_view text) {
    const auto returned = smtp::parse_returned_content(text);
    if (!returned) return wrong("ret", "it is headers or full");
    order_.options.returned = *returned;
  }
  void read_envid(std::string_view text) {
    if (!smtp::is_envelope_id(text))
      wrong("envid", "at most 100 printable characters of US-ASCII (+, = and blanks count three)");
    order_.options.envelope_id = text;
  }

  void take_text(std::string_view text, bool is_literal) {
    if (std::exchange(has_text_, true)) wrong("template", "it and message exclude each other");
    order_.text = text;
    order_.options.is_literal = is_literal;
    order_.options.message = is_literal ? "message" : "template";
  }

  void read_to(element value) {
    simdjson::dom::array list;
    if (value.get(list)) return wrong("to", "a list is wanted");
    size_t at = 0;
    for (const element one : list) {
      std::string_view address;
      if (one.get(address) == simdjson::SUCCESS) {
        report::JsonObject row(order_.recipients);
        row.string("email", address);
        row.end();
      } else if (one.is_object()) {
        order_.recipients += simdjson::minify(one);
      } else {
        wrong(fmt::format("to[{}]", at), "an address, or an object with the key email");
      }
      order_.recipients += '\n';
      ++at;
    }
    if (at == 0) wrong("to", "it names nobody");
    has_to_ = true;
  }

  /// What only all members together tell.
  void check() {
    intake::SubmissionOptions& options = order_.options;
    if (!has_from_) wrong("from", "the envelope sender is missing; \"\" is the null sender");
    if (!has_text_) wrong("message", "it is missing, and so is template");
    if (!has_to_ && form_ == MessageOrder::Form::document) wrong("to", "it is missing");
    if (options.is_literal && !options.from.empty()) {
      std::string normal;
      const auto parts = intake::normalise_address(options.from, normal);
      if (!parts)
        wrong("from", fmt::format("{} is not an address: {}", shown(options.from), parts.error()));
      options.from = normal;
    }
    if (options.is_literal && !options.unsubscribe.empty())
      wrong("unsubscribe", "it needs a template: a message goes out as it is");
    if (options.notify != 0)
      options.notices = options.notify == smtp::notify_never ? Notices::log : Notices::sender;
  }

  struct Text {
    std::string_view key;
    void (OrderReader::*read)(std::string_view text);
  };
  static constexpr Text texts[] = {
      {"from", &OrderReader::read_from},         {"message", &OrderReader::read_message},
      {"template", &OrderReader::read_template}, {"campaign", &OrderReader::read_campaign},
      {"priority", &OrderReader::read_priority}, {"notices", &OrderReader::read_notices},
      {"notify", &OrderReader::read_notify},     {"ret", &OrderReader::read_ret},
      {"envid", &OrderReader::read_envid},       {"unsubscribe", &OrderReader::read_unsubscribe},
      {"source", &OrderReader::read_source}};

  const MessageOrder::Form form_;
  MessageOrder order_;
  std::vector<std::string> mistakes_;
  bool has_from_ = false, has_text_ = false, has_to_ = false;
};

}  // namespace

std::expected<MessageOrder, std::vector<std::string>> MessageOrder::parse(std::string_view json,
                                                                          Form form) {
  return OrderReader(form).run(json);
}

}  // namespace sluice::engine::http
