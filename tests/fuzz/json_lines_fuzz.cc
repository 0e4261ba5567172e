// A JSON Lines list: the reader never fails, every row has a value a column, and each line is told
// at most once.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/intake/json_lines_reader.h"
#include "io/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::engine::intake::ReadStatus;
  sluice::engine::intake::JsonLinesReader reader;
  sluice::engine::intake::Row row;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> names;
  uint64_t line = 0;
  for (bool in_header = true;;) {
    const ReadStatus status = in_header ? reader.header(names, row) : reader.next(row);
    if (status == ReadStatus::need_input) {
      CHECK(!reader.buffer().is_finished());
      const auto space = reader.buffer().space();
      const size_t bytes = std::min(text.size(), space.size());
      std::ranges::copy(text.substr(0, bytes), space.begin());
      text.remove_prefix(bytes);
      reader.buffer().filled(bytes);
      if (text.empty()) reader.buffer().finish();
      continue;
    }
    if (status == ReadStatus::end || status == ReadStatus::broken) return 0;
    if (in_header) {
      in_header = false;
      continue;
    }
    CHECK(row.line > line);
    line = row.line;
    CHECK(status == ReadStatus::bad_row ? !row.reason.empty() : row.fields.size() == names.size());
    size_t bytes = 0;
    for (const std::string_view field : row.fields) {
      for (const char c : field) bytes += c != '\0';
    }
    CHECK(status == ReadStatus::bad_row || bytes <= row.raw.size());
  }
}
