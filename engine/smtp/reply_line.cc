#include "engine/smtp/reply_line.h"

namespace sluice::engine::smtp {

void append_reply(std::string& out, std::string_view reply) {
  for (const char c : reply.substr(0, reply_line_bytes_max - 2))
    out += c >= ' ' && c <= '~' ? c : '?';
  out += "\r\n";
}

}  // namespace sluice::engine::smtp
