// A CSV list in whatever pieces: the reader never fails, and says the same of one piece as of many.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/intake/csv_reader.h"
#include "io/check.h"

namespace {

using sluice::engine::intake::CsvReader;
using sluice::engine::intake::ReadStatus;
using sluice::engine::intake::Row;

std::string transcript(std::string_view text, size_t piece_bytes) {
  CsvReader reader;
  Row row;
  std::string said;
  std::vector<std::string> names;
  for (bool in_header = true;;) {
    const ReadStatus status = in_header ? reader.header(names, row) : reader.next(row);
    if (status == ReadStatus::need_input) {
      CHECK(!reader.buffer().is_finished());
      const auto space = reader.buffer().space();
      const size_t bytes = std::min({piece_bytes, text.size(), space.size()});
      std::ranges::copy(text.substr(0, bytes), space.begin());
      text.remove_prefix(bytes);
      reader.buffer().filled(bytes);
      if (text.empty()) reader.buffer().finish();
      continue;
    }
    said += std::to_string(static_cast<int>(status)) + ':';
    if (status == ReadStatus::end) return said;
    said += std::to_string(row.line) + ':';
    if (status == ReadStatus::broken) return said + row.reason;
    if (status == ReadStatus::bad_row) {
      said += row.reason;
      said += row.raw;
      continue;
    }
    CHECK(in_header || row.fields.size() == names.size());
    for (const std::string_view field : row.fields) said.append(field).push_back('\0');
    in_header = false;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const size_t piece_bytes = 1 + data[0];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  CHECK(transcript(text, piece_bytes) == transcript(text, size));
  return 0;
}
