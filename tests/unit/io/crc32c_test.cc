#include "io/crc32c.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <vector>

namespace sluice::io {
namespace {

std::span<const std::byte> octets(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Crc32c, gives_the_values_of_rfc_3720) {
  // Appendix B.4.
  std::string ascending(32, '\0'), descending(32, '\0');
  for (int i = 0; i < 32; ++i) {
    ascending[static_cast<size_t>(i)] = static_cast<char>(i);
    descending[static_cast<size_t>(i)] = static_cast<char>(31 - i);
  }
  for (const auto function : {crc32c, crc32c_portable}) {
    EXPECT_EQ(function(0, octets(std::string(32, '\0'))), 0x8a9136aau);
    EXPECT_EQ(function(0, octets(std::string(32, '\xff'))), 0x62a8ab43u);
    EXPECT_EQ(function(0, octets(ascending)), 0x46dd794eu);
    EXPECT_EQ(function(0, octets(descending)), 0x113fdb5cu);
    EXPECT_EQ(function(0, octets("123456789")), 0xe3069283u);
    EXPECT_EQ(function(0, {}), 0u);
  }
}

TEST(Crc32c, chains_over_any_cut_and_does_not_depend_on_alignment) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::string text(300, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (size_t begin = 0; begin < 9; ++begin) {
    const auto all = octets(text).subspan(begin);
    const uint32_t whole = crc32c(7, all);
    EXPECT_EQ(crc32c_portable(7, all), whole);
    for (size_t cut = 0; cut <= all.size(); ++cut) {
      ASSERT_EQ(crc32c(crc32c(7, all.first(cut)), all.subspan(cut)), whole) << cut;
      ASSERT_EQ(crc32c_portable(crc32c_portable(7, all.first(cut)), all.subspan(cut)), whole);
    }
  }
}

TEST(Crc32c, another_seed_is_another_checksum) {
  EXPECT_NE(crc32c(1, octets("text")), crc32c(0, octets("text")));
}

}  // namespace
}  // namespace sluice::io
