#include "engine/priority.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::engine {
namespace {

TEST(Priority, header_field_of_that_name_decides_before_the_others) {
  EXPECT_EQ(priority_of("Importance: high\r\nX-Priority: 1\r\nPriority: Non-Urgent\r\n\r\n"),
            Priority::non_urgent);
  EXPECT_EQ(priority_of("priority:urgent\nImportance: low\n\n"), Priority::urgent);
  EXPECT_EQ(priority_of("Priority: normal\nImportance: high\n\n"), Priority::normal);
}

TEST(Priority, importance_decides_before_the_number) {
  EXPECT_EQ(priority_of("X-Priority: 5\nImportance: High\n\n"), Priority::urgent);
  EXPECT_EQ(priority_of("Importance: low \r\n\r\n"), Priority::non_urgent);
  EXPECT_EQ(priority_of("X-Priority: 1 (Highest)\n\n"), Priority::urgent);
  EXPECT_EQ(priority_of("X-Priority: 2\n\n"), Priority::urgent);
  EXPECT_EQ(priority_of("X-Priority: 3\n\n"), Priority::normal);
  EXPECT_EQ(priority_of("X-Priority: 4\n\n"), Priority::non_urgent);
  EXPECT_EQ(priority_of("X-Priority: 5(Lowest)\n\n"), Priority::non_urgent);
}

TEST(Priority, value_that_says_nothing_leaves_it_to_the_next_field) {
  EXPECT_EQ(priority_of("Priority: soon\nImportance: high\n\n"), Priority::urgent);
  EXPECT_EQ(priority_of("Priority: {{p}}\nX-Priority: 11\n\n"), Priority::normal);
  EXPECT_EQ(priority_of("Priority: x\nPriority: urgent\n\n"), Priority::urgent);
}

TEST(Priority, body_and_folded_lines_say_nothing) {
  EXPECT_EQ(priority_of("Subject: x\n\nPriority: urgent\n"), Priority::normal);
  EXPECT_EQ(priority_of("Subject: x\r\n\r\nPriority: urgent\r\n"), Priority::normal);
  EXPECT_EQ(priority_of("Subject: x\n y\n z Priority: urgent"), Priority::normal);
  EXPECT_EQ(priority_of("Subject: x\n Priority: urgent"), Priority::normal);
  EXPECT_EQ(priority_of(""), Priority::normal);
}

TEST(Priority, is_written_as_it_is_read) {
  for (const auto priority : {Priority::normal, Priority::urgent, Priority::non_urgent})
    EXPECT_EQ(parse_priority(name(priority)), priority);
  EXPECT_FALSE(parse_priority("high"));
  EXPECT_FALSE(parse_priority(""));
}

}  // namespace
}  // namespace sluice::engine
