#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "io/clock.h"

namespace sluice::engine::mail {

/// Which messages are completed and stripped as their author's program should have done (RFC 6409
/// section 8). `automatic`: those that no server has handled yet, which have no Received field.
enum class Completion : uint8_t { never, automatic, always };

/// Reads the header of a message that comes in, in wire form and in pieces split anywhere, and
/// passes the message on. All are looked at for loops; one that is submitted loses its Bcc,
/// Resent-Bcc and Return-Path fields and an mbox `From ` line, and gets the Date and Message-ID it
/// lacks, as the last fields of its header. What is no header line ends the header: in a submitted
/// message the missing empty line is put before it, so that nobody reads fields behind it.
///
///     head.begin(...);
///     for (std::string_view out; !(out = head.next(piece)).empty();) store(out);    // each piece
///     if (const auto out = head.end(); !out.empty()) store(out);
///
/// Holds back at most held_bytes_max octets, the beginning of a line. Once the header is over,
/// next() gives back what it is given.
class IncomingHead {
 public:
  static constexpr unsigned hops_max = 100;  // RFC 5321 section 6.3
  static constexpr size_t message_id_bytes_max = 250;

  /// `message_id`, `<unique@host>`, outlives the message; it is used where there is none.
  void begin(Completion completion, std::string_view message_id, io::WallTime now);

  /// What is to be stored next, a view into `piece` or into this until the next call; it is taken
  /// off the front of `piece`. "": `piece` was taken whole.
  std::string_view next(std::string_view& piece);
  /// Behind the last piece: fields of a message that ended in its header.
  std::string_view end();

  bool is_over() const { return state_ == State::body; }
  /// More Received fields than a message on its way can have: refuse it (5.4.6).
  bool is_loop() const { return hops_ > hops_max; }
  bool has_from() const { return has_from_; }
  /// The field's value without folds, cut at message_id_bytes_max; the added one where one was.
  std::string_view message_id() const;

 private:
  enum class State : uint8_t { line_start, line, body };
  enum class Line : uint8_t {
    bcc,           // and its kin: not for the reader
    continuation,  // of a folded field
    date,
    empty,
    from,
    mbox,  // `From somebody date`, of a file of mails
    message_id,
    none,  // no line of a header
    other,
    received,
  };
  /// What a line is by its first octets, and how many of them tell it; 0: more are needed.
  struct Reading {
    Line line = Line::other;
    size_t bytes = 0;
  };
  static constexpr size_t held_bytes_max = 64;

  Reading read(std::string_view start) const;
  bool is_submission() const;
  bool is_dropped(Line line) const;
  void begin_line(Line line);
  void note_message_id(std::string_view value);
  void complete();
  std::string_view next_held(std::string_view& piece);
  std::string_view end_header(Line line, std::string_view& piece);

  State state_ = State::line_start;
  Completion completion_ = Completion::never;
  Line field_ = Line::none;  // whose line it is; none before the first
  bool has_date_ = false, has_from_ = false, has_message_id_ = false;
  uint32_t hops_ = 0;
  uint8_t held_bytes_ = 0;
  std::array<char, held_bytes_max> held_{};  // of a line that is not known yet
  std::string_view to_give_;                 // of held_, behind what was added
  std::string_view standard_message_id_;
  io::WallTime now_{};
  std::string message_id_, added_;
};

}  // namespace sluice::engine::mail
