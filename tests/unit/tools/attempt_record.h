#pragma once

#include <string>

#include "engine/report/log_record.h"

namespace sluice::tools {

/// What the log says of an attempt for ann@example.net at mx1.example.net.
inline engine::report::LogRecord attempt(uint64_t number, std::string time, std::string event) {
  engine::report::LogRecord record;
  record.time = std::move(time);
  record.event = std::move(event);
  record.id = "5f3a.17";
  record.campaign = "news-47";
  record.recipient = "ann@example.net";
  record.attempt = number;
  record.host = "mx1.example.net";
  record.remote = "192.0.2.7:25";
  return record;
}

}  // namespace sluice::tools
