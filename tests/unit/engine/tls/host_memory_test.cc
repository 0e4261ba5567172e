#include "engine/tls/host_memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <utility>

namespace sluice::engine::tls {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

bssl::UniquePtr<SSL_SESSION> session(const ContextPtr& context) {
  return bssl::UniquePtr<SSL_SESSION>(SSL_SESSION_new(context->get()));
}

TEST(HostMemory, gives_a_session_to_its_context_name_and_address_alone) {
  const ContextPtr a = *Context::client(), b = *Context::client();
  HostMemory memory;
  bssl::UniquePtr<SSL_SESSION> kept = session(a);
  SSL_SESSION* const it = kept.get();
  memory.keep_session({a, "mx.example", "192.0.2.1:25"}, std::move(kept));
  EXPECT_EQ(memory.take_session({b, "mx.example", "192.0.2.1:25"}), nullptr);
  EXPECT_EQ(memory.take_session({a, "mx2.example", "192.0.2.1:25"}), nullptr);
  EXPECT_EQ(memory.take_session({a, "mx.example", "192.0.2.1:26"}), nullptr);
  EXPECT_EQ(memory.take_session({a, "mx.example", "192.0.2.1:25", "verified"}), nullptr);
  EXPECT_EQ(memory.take_session({a, "mx.example", "192.0.2.1:25"}).get(), it);
}

TEST(HostMemory, forgets_the_oldest_when_it_is_full) {
  const ContextPtr context = *Context::client();
  HostMemory memory;
  for (size_t i = 0; i <= HostMemory::sessions_max; ++i)
    memory.keep_session({context, "mx.example", fmt::format("{}", i)}, session(context));
  EXPECT_EQ(memory.take_session({context, "mx.example", "0"}), nullptr);
  EXPECT_NE(memory.take_session({context, "mx.example", "1"}), nullptr);
  for (size_t i = 0; i <= HostMemory::failures_max; ++i)
    memory.note_failure(fmt::format("{}", i), io::Instant{});
  EXPECT_FALSE(memory.has_failed("0", io::Instant{}));
  EXPECT_TRUE(memory.has_failed("1", io::Instant{}));
}

TEST(HostMemory, forgets_a_failure_after_a_while) {
  HostMemory memory;
  const io::Instant now{};
  EXPECT_FALSE(memory.has_failed("192.0.2.1:25", now));
  memory.note_failure("192.0.2.1:25", now);
  EXPECT_TRUE(memory.has_failed("192.0.2.1:25", now + HostMemory::failure_kept - seconds(1)));
  EXPECT_FALSE(memory.has_failed("192.0.2.1:25", now + HostMemory::failure_kept));
  memory.note_failure("192.0.2.1:25", now + minutes(60));
  EXPECT_TRUE(memory.has_failed("192.0.2.1:25", now + minutes(61)));
}

}  // namespace
}  // namespace sluice::engine::tls
