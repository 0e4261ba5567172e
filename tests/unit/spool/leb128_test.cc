#include "spool/leb128.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::spool {
namespace {

constexpr uint64_t numbers[] = {0,         1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX - 1,
                                UINT64_MAX};

std::vector<std::byte> octets(std::initializer_list<unsigned> values) {
  std::vector<std::byte> out;
  for (const unsigned value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

TEST(Leb128, is_read_as_it_was_written_and_what_follows_is_left) {
  for (const uint64_t number : numbers) {
    std::vector<std::byte> written;
    put_leb128(written, number);
    written.push_back(std::byte{7});
    std::span<const std::byte> rest(written);
    uint64_t read = 0;
    ASSERT_TRUE(get_leb128(rest, read)) << number;
    EXPECT_EQ(read, number);
    EXPECT_EQ(rest.size(), 1u) << number;
  }
}

TEST(Leb128, is_the_same_in_a_string) {
  for (const uint64_t number : numbers) {
    std::vector<std::byte> bytes;
    std::string text;
    put_leb128(bytes, number);
    put_leb128(text, number);
    EXPECT_EQ(text, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
}

TEST(Leb128, puts_seven_bits_into_an_octet_the_lowest_first) {
  std::vector<std::byte> written;
  put_leb128(written, 300);
  EXPECT_EQ(written, octets({0xac, 0x02}));
}

TEST(Leb128, that_ends_within_or_takes_more_than_64_bits_is_none) {
  const auto cut = octets({0x80}), nothing = octets({});
  auto large = std::vector<std::byte>(9, std::byte{0xff}), long_one = large;
  large.push_back(std::byte{2});  // 2^64 and more
  long_one.push_back(std::byte{0x81});
  for (const auto& bad : {cut, nothing, large, long_one}) {
    std::span<const std::byte> rest(bad);
    uint64_t read = 0;
    EXPECT_FALSE(get_leb128(rest, read)) << bad.size();
  }
}

}  // namespace
}  // namespace sluice::spool
