#include "engine/queue/deferred_heap.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>

#include "io/check.h"

namespace sluice::engine::queue {
namespace {

using namespace std::chrono_literals;

MailingPtr mailing() {
  auto compiled = mail::Template::compile({.message = "From: a@b.example\n\nHello\n",
                                           .path = "m.eml",
                                           .columns = {"email"},
                                           .sender = "a@b.example"});
  CHECK(compiled);
  return std::make_shared<Mailing>(nullptr, CampaignMessage{}, *std::move(compiled),
                                   spool::Progress{});
}

SetbackPtr answer(std::string text, uint16_t code = 451) {
  auto why = std::make_shared<Setback>();
  why->stage = smtp::Stage::rcpt;
  why->code = code;
  why->enhanced = {4, 2, 0};
  why->text = std::move(text);
  why->host = "mx.example";
  return why;
}

struct Queue {
  void push(uint32_t number, io::Duration due) { push({.mailing = a, .item = {number}}, due); }
  void push(const Returned& returned, io::Duration due, io::Instant warns = io::never) {
    PackedRecipient packed = packer.pack(returned, warns);
    packed.wait_until(io::Instant(due));
    heap.push(packed, warns.time_since_epoch() < due);
  }
  MailingPtr a = mailing(), b = mailing();
  RecipientPacker packer;
  DeferredHeap heap{packer};
};

TEST(DeferredHeap, gives_the_earliest_first) {
  Queue queue;
  EXPECT_EQ(queue.heap.next(), io::never);
  for (uint32_t n = 0; n < 10'000; ++n) queue.push(n, (n * 7919 % 10'000) * 1s);
  for (int64_t s = 0; s < 10'000; ++s) {
    EXPECT_EQ(queue.heap.next(), io::Instant(s * 1s));
    EXPECT_EQ(queue.heap.pop().number() * 7919 % 10'000, s);
  }
  EXPECT_EQ(queue.heap.size(), 0u);
}

TEST(DeferredHeap, one_whose_sender_is_to_be_told_comes_when_its_mailing_warns) {
  Queue queue;
  queue.push(1, 50s);
  queue.push({.mailing = queue.b, .item = {2}}, 1h, io::Instant(40s));
  EXPECT_EQ(queue.heap.next(), io::Instant(40s));
  const PackedRecipient first = queue.heap.pop();
  EXPECT_EQ(first.number(), 2u);
  EXPECT_EQ(first.retry_at(), io::Instant(1h)) << "to be tried at its own time";
}

TEST(DeferredHeap, gives_those_taken_out_and_keeps_the_order_of_the_others) {
  Queue queue;
  for (uint32_t n = 0; n < 1000; ++n) queue.push(n, (1000 - n) * 1s);
  const auto taken = queue.heap.take_if([](const auto& r) { return r.number() % 3 == 0; });
  EXPECT_EQ(taken.size(), 334u);
  for (uint32_t n = 999; n > 0; --n) {
    if (n % 3 == 0) continue;
    EXPECT_EQ(queue.heap.pop().number(), n);
  }
  EXPECT_EQ(queue.heap.size(), 0u);
}

TEST(RecipientLine, is_a_row_at_both_ends) {
  Queue queue;
  RecipientLine line;
  std::deque<uint32_t> expected;
  std::mt19937 random(3);
  for (uint32_t n = 0; n < 200'000; ++n) {
    const PackedRecipient one = queue.packer.pack({.mailing = queue.a, .item = {n}}, io::never);
    const bool grows = random() % 100 < (n / 20'000 % 2 == 0 ? 70u : 20u);
    if (grows || expected.empty()) {
      const bool in_front = random() % 2 == 0;
      in_front ? line.push_front(one) : line.push_back(one);
      in_front ? expected.push_front(n) : expected.push_back(n);
    } else if (random() % 100 == 0) {
      const size_t first = random() % expected.size();
      const size_t last = std::min(first + random() % 40, expected.size());
      line.erase(first, last);
      expected.erase(expected.begin() + static_cast<ptrdiff_t>(first),
                     expected.begin() + static_cast<ptrdiff_t>(last));
    } else if (random() % 2 == 0) {
      EXPECT_EQ(line.pop_front().number(), expected.front());
      expected.pop_front();
    } else {
      EXPECT_EQ(line.pop_back().number(), expected.back());
      expected.pop_back();
    }
    ASSERT_EQ(line.size(), expected.size());
    if (expected.empty()) continue;
    const size_t any = random() % expected.size();
    ASSERT_EQ(line[any].number(), expected[any]);
  }
}

TEST(RecipientPacker, gives_back_what_it_packed) {
  Queue queue;
  const Item item{.number = 4'000'000'000,
                  .setbacks = -3,
                  .attempts = 65535,
                  .refusals = 2,
                  .transfers = 9,
                  .was_deferred = true,
                  .was_told = true};
  const PackedRecipient packed = queue.packer.pack({.mailing = queue.a, .item = item}, io::never);
  const Item unpacked = queue.packer.item(packed, 77);
  EXPECT_EQ(unpacked.number, item.number);
  EXPECT_EQ(unpacked.setbacks, item.setbacks);
  EXPECT_EQ(unpacked.attempts, item.attempts);
  EXPECT_EQ(unpacked.refusals, item.refusals);
  EXPECT_EQ(unpacked.transfers, item.transfers);
  EXPECT_TRUE(unpacked.was_deferred && unpacked.was_told);
  EXPECT_EQ(queue.packer.mailing(packed), queue.a);
}

TEST(RecipientPacker, counts_no_setback_for_one_that_waits_for_its_time) {
  Queue queue;
  PackedRecipient packed = queue.packer.pack({.mailing = queue.a, .item = {1, 5}}, io::never);
  packed.wait_until(io::Instant(60s));
  EXPECT_EQ(queue.packer.item(packed, 8).setbacks, 8);
  packed.come_due(9);
  EXPECT_EQ(queue.packer.item(packed, 12).setbacks, 9);
}

TEST(RecipientPacker, lets_go_of_a_mailing_of_which_nothing_is_packed) {
  Queue queue;
  const auto first = queue.packer.pack({.mailing = queue.a, .item = {1}}, io::never);
  const auto second = queue.packer.pack({.mailing = queue.a, .item = {2}}, io::never);
  const std::weak_ptr<const Mailing> watched = queue.a;
  queue.a = nullptr;
  queue.packer.forget(first);
  EXPECT_FALSE(watched.expired());
  queue.packer.forget(second);
  EXPECT_TRUE(watched.expired());
  const auto other = queue.packer.pack({.mailing = queue.b, .item = {1}}, io::never);
  EXPECT_EQ(queue.packer.mailing(other), queue.b);
}

TEST(ReasonTable, keeps_answers_that_say_the_same_once) {
  ReasonTable table;
  const auto first = table.take(answer("451 4.2.0 come back"));
  EXPECT_EQ(table.take(answer("451 4.2.0 come back")), first);
  EXPECT_NE(table.take(answer("451 4.2.0 come back", 450)), first);
  EXPECT_NE(table.take(answer("451 4.2.0 come again")), first);
  EXPECT_EQ(table.at(first)->text, "451 4.2.0 come back");
  EXPECT_EQ(table.take(nullptr), ReasonTable::none);
  EXPECT_EQ(table.at(ReasonTable::none), nullptr);
}

TEST(ReasonTable, loses_the_text_rather_than_show_that_of_another) {
  ReasonTable table;
  const auto text = [](size_t i) { return "451 4.2.0 <" + std::to_string(i) + "@a.example> wait"; };
  for (size_t i = 0; i < 100'000; ++i) {
    const SetbackPtr& kept = table.at(table.take(answer(text(i))));
    EXPECT_EQ(kept->text, i < ReasonTable::whole_max ? text(i) : "");
    EXPECT_EQ(kept->code, 451);
    EXPECT_EQ(kept->enhanced.subject, 2);
  }
  for (uint16_t code = 0; code < 10'000; ++code) {
    const SetbackPtr& kept = table.at(table.take(answer("no", code)));
    EXPECT_TRUE(kept->code == code || kept->code == 0);
    EXPECT_EQ(kept->stage, smtp::Stage::rcpt);
  }
}

TEST(ReasonTable, has_room_again_when_nobody_waits_for_an_answer) {
  ReasonTable table;
  std::vector<ReasonTable::Index> taken;
  for (size_t i = 0; i < ReasonTable::whole_max; ++i)
    taken.push_back(table.take(answer(std::to_string(i))));
  table.drop(taken[7]);
  const auto fresh = table.take(answer("fresh"));
  EXPECT_EQ(table.at(fresh)->text, "fresh");
  EXPECT_EQ(table.at(taken[8])->text, "8");
}

}  // namespace
}  // namespace sluice::engine::queue
