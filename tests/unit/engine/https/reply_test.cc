#include "engine/https/reply.h"

#include <gtest/gtest.h>

namespace sluice::engine::https {
namespace {

/// "200 text/plain: body", "more", or the error.
std::string read(std::string_view octets, bool is_over = false) {
  const auto reply = read_reply(octets, is_over);
  if (!reply) return std::string(reply.error());
  if (!*reply) return "more";
  return std::to_string((*reply)->status) + " " + (*reply)->type + ": " + (*reply)->body;
}

TEST(HttpsReply, ends_with_its_length_its_last_chunk_or_the_connection) {
  EXPECT_EQ(read("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nbody+"),
            "200 text/plain: body");
  EXPECT_EQ(
      read("HTTP/1.1 200\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"),
      "200 : body");
  EXPECT_EQ(read("HTTP/1.0 404 Not Found\r\n\r\nbody"), "more");
  EXPECT_EQ(read("HTTP/1.0 404 Not Found\r\n\r\nbody", true), "404 : body");
  EXPECT_EQ(read("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"),
            "204 : ");
}

TEST(HttpsReply, is_not_whole_where_it_is_cut) {
  for (const std::string whole :
       {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n"})
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(read(whole.substr(0, size)), "more") << size;
      EXPECT_EQ(read(whole.substr(0, size), true), "the answer breaks off") << size;
    }
}

TEST(HttpsReply, is_none_where_it_is_malformed) {
  const std::string none = "it does not answer in HTTP/1.1";
  for (const char* head :
       {"", "250 ok", "HTTP/2 200 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 099 OK", "HTTP/1.1 2000 OK",
        "HTTP/1.1 200 OK\r\nno colon", "HTTP/1.1 200 OK\r\nContent-Length: -1",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip"})
    EXPECT_EQ(read(std::string(head) + "\r\n\r\nbody", true), none) << head;
  const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(read(chunked + "x\r\n"), "the answer has a chunk without a size");
  EXPECT_EQ(read(chunked + "2\r\nabcd\r\n"), "the answer has a chunk without an end");
  EXPECT_EQ(read(chunked + "ffffffffffffffff\r\nabcd"), "more");
}

TEST(HttpsReply, is_no_longer_than_it_may_be) {
  const std::string head = "HTTP/1.1 200 OK\r\n\r\n", body(Reply::octets_max + 1, 'x');
  EXPECT_EQ(read(head + body), "the answer is too long");
  EXPECT_EQ(read(body), "the answer is too long");
}

}  // namespace
}  // namespace sluice::engine::https
