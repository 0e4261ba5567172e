#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/check.h"
#include "spool/campaign.h"

namespace sluice::engine::intake {

/// The longest row of a list, as written; what a row becomes must fit into a spool entry anyhow.
inline constexpr size_t row_bytes_max = spool::entry_bytes_max;

/// The part of a list that is in memory: filled behind, consumed in front, always in one piece.
class RowBuffer {
 public:
  static constexpr size_t capacity = 1024 * 1024;
  static constexpr size_t padding = 64;  // readable octets behind the last: what simdjson asks for

  RowBuffer() : bytes_(std::make_unique_for_overwrite<char[]>(capacity + padding)) {}

  /// Where to read more to, never empty; what was handed out of the buffer before is invalid then.
  std::span<char> space();
  void filled(size_t bytes) { end_ += bytes; }
  /// Nothing more comes.
  void finish() { finished_ = true; }
  bool is_finished() const { return finished_; }

  std::string_view pending() const { return {bytes_.get() + begin_, end_ - begin_}; }
  /// Octets that may be read from the start of pending() on, those behind its end included.
  size_t readable() const { return capacity + padding - begin_; }
  void consume(size_t bytes) { begin_ += bytes; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t begin_ = 0, end_ = 0;
  bool finished_ = false;
};

/// One row of a list. Views are valid until the next call of the reader or its buffer.
struct Row {
  uint64_t line = 0;  // where it starts, from 1; of a broken list: where the trouble starts
  std::vector<std::string_view> fields;  // one a column
  std::string_view raw;                  // as written, without the line's end
  std::string reason;                    // of a bad row or a broken list: what is wrong
};

enum class ReadStatus : uint8_t {
  row,
  bad_row,     // reason, line and raw are set; the next row can be read
  need_input,  // fill the buffer, or finish() it
  end,
  broken,  // reason and line are set; where the next row starts cannot be told
};

/// Makes rows of a list's octets, however they were cut when they were read. Does no I/O; holds one
/// buffer, whatever the size of the list.
class RowReader {
 public:
  virtual ~RowReader() = default;
  RowBuffer& buffer() { return buffer_; }

  /// To be called first, until it does not say need_input: `row` with the columns' names, `end` for
  /// an empty list, or why not.
  virtual ReadStatus header(std::vector<std::string>& names, Row& row) = 0;
  /// A row with as many fields as there are columns.
  virtual ReadStatus next(Row& row) = 0;

 protected:
  RowBuffer buffer_;
};

inline std::span<char> RowBuffer::space() {
  if (begin_ > 0) {
    std::char_traits<char>::move(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  CHECK(end_ < capacity);
  return {bytes_.get() + end_, capacity - end_};
}

}  // namespace sluice::engine::intake
