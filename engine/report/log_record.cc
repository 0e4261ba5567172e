#include "engine/report/log_record.h"

#include <simdjson.h>

#include <utility>

namespace sluice::engine::report {

struct LogRecordReader::Parser {
  simdjson::dom::parser dom;
};

LogRecordReader::LogRecordReader() : parser_(std::make_unique<Parser>()) {}
LogRecordReader::~LogRecordReader() = default;

bool LogRecordReader::read(std::string_view line, LogRecord& record) {
  simdjson::dom::object object;
  if (parser_->dom.parse(line.data(), line.size()).get(object) != simdjson::SUCCESS) return false;
  record = {};
  constexpr std::pair<std::string_view, std::string LogRecord::*> strings[] = {
      {"time", &LogRecord::time},
      {"event", &LogRecord::event},
      {"id", &LogRecord::id},
      {"campaign", &LogRecord::campaign},
      {"sender", &LogRecord::sender},
      {"recipient", &LogRecord::recipient},
      {"original_recipient", &LogRecord::original_recipient},
      {"message_id", &LogRecord::message_id},
      {"phase", &LogRecord::phase},
      {"host", &LogRecord::host},
      {"remote", &LogRecord::remote},
      {"local", &LogRecord::local},
      {"tls", &LogRecord::tls},
      {"enhanced", &LogRecord::enhanced},
      {"text", &LogRecord::text},
      {"reason", &LogRecord::reason},
      {"next_attempt", &LogRecord::next_attempt},
      {"expires", &LogRecord::expires}};
  constexpr std::pair<std::string_view, uint64_t LogRecord::*> numbers[] = {
      {"bytes", &LogRecord::bytes},
      {"recipients", &LogRecord::recipients},
      {"attempt", &LogRecord::attempt},
      {"code", &LogRecord::code}};
  for (const auto [key, value] : object) {
    std::string_view text;
    uint64_t number = 0;
    if (value.get(text) == simdjson::SUCCESS) {
      for (const auto& [name, member] : strings)
        if (name == key) record.*member = text;
    } else if (value.get(number) == simdjson::SUCCESS) {
      for (const auto& [name, member] : numbers)
        if (name == key) record.*member = number;
    }
  }
  return !record.time.empty() && !record.event.empty();
}

}  // namespace sluice::engine::report
