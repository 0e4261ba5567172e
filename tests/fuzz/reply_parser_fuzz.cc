// The reply parser on any octets, whole and in pieces: the same replies, and never more memory than
// said.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/extensions.h"
#include "engine/smtp/reply_parser.h"
#include "io/check.h"

namespace {

using sluice::engine::smtp::Reply;
using sluice::engine::smtp::ReplyParser;

std::string parse(std::string_view octets, size_t piece_bytes) {
  ReplyParser parser;
  std::string told;
  for (; !octets.empty(); octets.remove_prefix(std::min(piece_bytes, octets.size()))) {
    const std::string_view cut = octets.substr(0, piece_bytes);
    const std::vector<char> piece(cut.begin(), cut.end());
    std::string_view rest(piece.data(), piece.size());
    for (;;) {
      Reply reply;
      const ReplyParser::Step step = parser.next(rest, reply);
      if (step == ReplyParser::Step::need_more) break;
      told.append(reply.text).append(parser.reason()).push_back('\0');
      if (step == ReplyParser::Step::garbage) return told;
      CHECK(reply.code >= 200 && reply.code <= 599);
      CHECK(reply.text.size() <= ReplyParser::reply_bytes_max);
      told += std::to_string(reply.enhanced().detail);
      told += std::to_string(sluice::engine::smtp::parse_extensions(reply.text).size_max);
    }
  }
  return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = parse(octets, SIZE_MAX);
  CHECK(parse(octets, 1u + data[0]) == whole);
  return 0;
}
