#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <string>
#include <string_view>

#include "engine/dkim/body_hash.h"
#include "engine/dkim/message_hash.h"
#include "engine/dkim/signed_header.h"

namespace sluice::engine::dkim {
namespace {

Digest sha256(std::string_view octets) {
  Digest digest;
  SHA256(reinterpret_cast<const uint8_t*>(octets.data()), octets.size(), digest.data());
  return digest;
}

Digest body_hash(std::string_view body) {
  BodyHash hash;
  hash.update(body);
  return hash.finish();
}

/// Of a header, all that is hashed.
std::string canonical(const SignedHeader& header) {
  std::string out;
  header.for_each_octets([&out](std::string_view octets) { out += octets; });
  return out;
}

std::string canonical(std::string_view text) {
  SignedHeader header;
  header.update(text);
  header.finish();
  return canonical(header);
}

TEST(BodyHash, is_of_the_body_as_relaxed_has_it) {
  // RFC 6376 section 3.4.5.
  EXPECT_EQ(body_hash(" C \r\nD \t E\r\n\r\n\r\n"), sha256(" C\r\nD E\r\n"));
  EXPECT_EQ(body_hash(""), sha256(""));
  EXPECT_EQ(body_hash("\r\n\r\n"), sha256(""));
  EXPECT_EQ(body_hash(" \t \r\n\t\r\n"), sha256(""));
  EXPECT_EQ(body_hash("\r\n\r\na"), sha256("\r\n\r\na\r\n"));
  EXPECT_EQ(body_hash("a  \r\n \r\nb\r\n"), sha256("a\r\n\r\nb\r\n"));
  EXPECT_EQ(body_hash("\ta \xfc\r\n"), sha256(" a \xfc\r\n"));
  EXPECT_EQ(body_hash("a\rb\nc\r\n"), sha256("a\rb\nc\r\n"));
  EXPECT_EQ(body_hash("a \r"), sha256("a \r\r\n"));
}

TEST(BodyHash, is_the_same_however_the_body_is_cut) {
  constexpr std::string_view body =
      "\r\n one \t two  \r\n \t\r\n\r\n. three\r\rfour\r\n\t\r\n \r\n\r\n";
  const Digest whole = body_hash(body);
  for (size_t i = 0; i <= body.size(); ++i)
    for (size_t k = i; k <= body.size(); ++k) {
      BodyHash hash;
      hash.update(body.substr(0, i));
      hash.update(body.substr(i, k - i));
      hash.update(body.substr(k));
      ASSERT_EQ(hash.finish(), whole) << i << " " << k;
    }
}

TEST(BodyHash, goes_on_from_a_copy_that_was_made_anywhere) {
  constexpr std::string_view common = "the same  \r\n\r\n for all \t", end = " but\r\nthis\r\n";
  for (size_t i = 0; i <= common.size(); ++i) {
    BodyHash first;
    first.update(common.substr(0, i));
    BodyHash second = first;
    second.update(common.substr(i));
    second.update(end);
    EXPECT_EQ(second.finish(), body_hash(std::string(common) + std::string(end)));
    EXPECT_EQ(first.finish(), body_hash(common.substr(0, i)));
  }
}

TEST(BodyHash, of_much_blank_is_of_little) {
  EXPECT_EQ(body_hash("a" + std::string(20'000, ' ') + "b\r\n"), sha256("a b\r\n"));
  std::string lines;
  for (int i = 0; i < 10'000; ++i) lines += "\r\n";
  EXPECT_EQ(body_hash("a" + lines), sha256("a\r\n"));
  EXPECT_EQ(body_hash("a" + lines + "b"), sha256("a" + lines + "b\r\n"));
}

TEST(SignedHeader, is_relaxed) {
  EXPECT_EQ(
      canonical("SUBJect \t:  A \t b\r\n\t folded  \r\n \r\nX-Other: no\r\nFROM:a@b.example\r\n"),
      "from:a@b.example\r\nsubject:A b folded\r\n");
  EXPECT_EQ(canonical("Subject:\r\nFrom:\r\n  a@b.example\r\n"),
            "from:a@b.example\r\nsubject:\r\n");
  EXPECT_EQ(canonical("To: a:b; c\r\n"), "to:a:b; c\r\n");
}

TEST(SignedHeader, takes_what_only_looks_like_a_field_for_none) {
  EXPECT_EQ(canonical(" From: nobody@x\r\nFrom a@b Sun\r\nF rom: x@y\r\nFrom\r\n: x@y\r\n"
                      "From-: x\r\nXFrom: y\r\n"),
            "");
  EXPECT_EQ(canonical("Subject: a\r\nno colon\r\n more\r\nTo: b\r\n"), "to:b\r\nsubject:a\r\n");
}

TEST(SignedHeader, gives_fields_of_a_name_from_the_last_to_the_first) {
  EXPECT_EQ(canonical("To: 1\r\nFrom: a\r\nTo: 2\r\nTo: 3\r\n"),
            "from:a\r\nto:3\r\nto:2\r\nto:1\r\n");
}

TEST(SignedHeader, is_the_same_however_it_is_cut) {
  constexpr std::string_view text =
      "Received: x\r\n\ty\r\nFrom : a\r\n b \r\nsubject:  c\r\n \r\nTO:\t\r\nX: y\r\nTo: d\r\n";
  const std::string whole = canonical(text);
  for (size_t i = 0; i <= text.size(); ++i)
    for (size_t k = i; k <= text.size(); ++k) {
      SignedHeader header;
      header.update(text.substr(0, i));
      header.update(text.substr(i, k - i));
      header.update(text.substr(k));
      header.finish();
      ASSERT_EQ(canonical(header), whole) << i << " " << k;
    }
}

TEST(SignedHeader, names_fields_once_more_than_there_are) {
  SignedHeader header;
  header.update("From: a\r\nTo: 1\r\nTo: 2\r\nFeedback-ID: x\r\nReceived: y\r\n");
  header.finish();
  std::string names;
  header.append_names(names, 10);
  EXPECT_EQ(names,
            "From:From:To:To:To:Cc:Reply-To:Subject:Date:Message-ID:MIME-Version:\r\n"
            "\tContent-Type:Content-Transfer-Encoding:List-Unsubscribe:\r\n"
            "\tList-Unsubscribe-Post:Feedback-ID");
  EXPECT_EQ(header.last(from_field), "a");
  EXPECT_EQ(header.count(1), 2u);
}

TEST(SignedHeader, of_an_attack_costs_no_more_than_its_limits) {
  SignedHeader header;
  header.update("Subject: ");
  for (int i = 0; i < 300; ++i) header.update(std::string(1000, 'x') + "\r\n ");
  header.finish();
  EXPECT_TRUE(header.is_too_large());
  header.clear();
  EXPECT_FALSE(header.is_too_large());
  for (int i = 0; i < 300; ++i) header.update("To: a\r\n");
  header.finish();
  EXPECT_TRUE(header.is_too_large());
  EXPECT_EQ(header.count(1), SignedHeader::fields_max);
}

TEST(MessageHash, takes_off_stuffed_dots_and_finds_the_body_however_it_is_cut) {
  constexpr std::string_view wire =
      "From: a\r\n..dot: field\r\n..\r\n\r\n..\r\n...x\r\n\r\n.. \r\ny.\r\n..z\r\n";
  const Digest whole = body_hash(".\r\n..x\r\n\r\n. \r\ny.\r\n.z\r\n");
  for (size_t i = 0; i <= wire.size(); ++i)
    for (size_t k = i; k <= wire.size(); ++k) {
      MessageHash hash;
      hash.update(wire.substr(0, i));
      hash.update(wire.substr(i, k - i));
      hash.update(wire.substr(k));
      EXPECT_TRUE(hash.is_in_body());
      ASSERT_EQ(hash.finish(), whole) << i << " " << k;
      ASSERT_EQ(canonical(hash.header()), "from:a\r\n") << i << " " << k;
    }
}

TEST(MessageHash, of_a_message_without_a_body_is_of_none) {
  for (const std::string_view wire : {"From: a\r\n", "From: a\r\n\r\n", "From: a\r\n\r\n\r\n"}) {
    MessageHash hash;
    hash.update(wire);
    EXPECT_EQ(hash.finish(), sha256(""));
    EXPECT_EQ(canonical(hash.header()), "from:a\r\n");
  }
}

TEST(MessageHash, takes_a_header_alone_and_gives_back_what_comes_behind) {
  MessageHash hash;
  EXPECT_EQ(hash.update_header("From: a@x.example\r\nTo: "), "");
  EXPECT_FALSE(hash.is_in_body());
  EXPECT_EQ(hash.update_header("b@x.example\r\n\r\n.text\r\n"), ".text\r\n");
  EXPECT_TRUE(hash.is_in_body());
  EXPECT_EQ(hash.update_header("more"), "more");
  EXPECT_EQ(hash.finish(), MessageHash().finish()) << "nothing of the body is hashed";
}

TEST(MessageHash, goes_on_behind_what_another_one_has_read) {
  MessageHash first, second;
  first.update("From: a\r\n\r\nthe same\r\n");
  second.update("From: b\r\n\r\nof the header's piece");
  second.resume_body(first.body());
  first.update("..x\r\n");
  second.update("..x\r\n");
  EXPECT_EQ(second.finish(), first.finish());
  second.clear();
  EXPECT_FALSE(second.is_in_body());
}

}  // namespace
}  // namespace sluice::engine::dkim
