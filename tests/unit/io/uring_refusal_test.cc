#include "io/uring_refusal.h"

#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "io/check.h"
#include "io/uring.h"

namespace sluice::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const UringFacts facts{
    .kernel = "5.10.0", .disabled = -1, .descriptors_max = 1024, .locked_bytes_max = 65536};

UringFacts disabled(int value) {
  UringFacts changed = facts;
  changed.disabled = value;
  return changed;
}

TEST(UringRefusal, names_the_kernel_it_needs_and_the_one_it_found) {
  for (int error : {ENOSYS, EINVAL})
    EXPECT_THAT(uring_refusal(UringStep::ring, error, facts),
                AllOf(HasSubstr("6.1"), HasSubstr("5.10.0")));
}

TEST(UringRefusal, names_the_switch_that_forbids_it) {
  EXPECT_THAT(uring_refusal(UringStep::ring, EPERM, disabled(2)),
              HasSubstr("sysctl kernel.io_uring_disabled=0"));
  EXPECT_THAT(uring_refusal(UringStep::ring, EPERM, disabled(1)),
              HasSubstr("kernel.io_uring_group"));
  for (int none : {-1, 0})
    EXPECT_THAT(uring_refusal(UringStep::ring, EPERM, disabled(none)),
                AllOf(HasSubstr("seccomp"), HasSubstr("io_uring_setup"), Not(HasSubstr("sysctl"))));
}

TEST(UringRefusal, names_the_limits_to_raise) {
  EXPECT_THAT(uring_refusal(UringStep::receive_buffers, ENOMEM, facts),
              AllOf(HasSubstr("64 KiB"), HasSubstr("ulimit -l"), HasSubstr("LimitMEMLOCK")));
  EXPECT_THAT(uring_refusal(UringStep::socket_table, EMFILE, facts),
              AllOf(HasSubstr("1024"), HasSubstr("ulimit -Hn"), HasSubstr("LimitNOFILE")));
}

TEST(UringRefusal, says_what_it_was_doing_where_it_knows_no_remedy) {
  EXPECT_EQ(uring_refusal(UringStep::receive_buffers, EFAULT, facts),
            "io_uring: registering receive buffers: Bad address");
}

TEST(UringRefusal, is_one_line_whatever_the_error) {
  for (int error = 1; error < 134; ++error)
    for (auto step : {UringStep::ring, UringStep::socket_table, UringStep::receive_buffers})
      EXPECT_THAT(uring_refusal(step, error, facts), Not(HasSubstr("\n")));
}

TEST(UringRefusal, compares_releases_as_numbers) {
  EXPECT_TRUE(is_before("6.1.0-26-amd64", 6, 13));
  EXPECT_TRUE(is_before("5.19.17", 6, 13));
  EXPECT_FALSE(is_before("6.13.0-rc1", 6, 13));
  EXPECT_FALSE(is_before("10.0", 6, 13));
  EXPECT_FALSE(is_before("unknown", 6, 13));
}

/// What open_uring() says in a child process that `spoil` has changed; "open" when it opens.
std::string said_after(const std::function<void()>& spoil) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    spoil();
    const auto uring = open_uring();
    const std::string text = uring ? "open" : uring.error().message;
    CHECK(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    _exit(0);
  }
  close(ends[1]);
  std::string text(1000, '\0');
  const ssize_t size = read(ends[0], text.data(), text.size());
  CHECK(size >= 0);
  text.resize(static_cast<size_t>(size));
  close(ends[0]);
  CHECK(waitpid(child, nullptr, 0) == child);
  return text;
}

void fail_setup_with(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{.len = std::size(program), .filter = program};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

void limit_descriptors(rlim_t soft, rlim_t hard) {
  const rlimit limit{.rlim_cur = soft, .rlim_max = hard};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST(OpenUring, says_so_when_a_filter_forbids_it) {
  EXPECT_THAT(said_after([] { fail_setup_with(EPERM); }), HasSubstr("forbidden"));
  EXPECT_THAT(said_after([] { fail_setup_with(ENOSYS); }), HasSubstr("has no io_uring"));
  EXPECT_THAT(said_after([] { fail_setup_with(EINVAL); }), HasSubstr("too old"));
  EXPECT_THAT(said_after([] { fail_setup_with(ENOMEM); }), HasSubstr("ulimit -l"));
}

TEST(OpenUring, says_so_when_descriptors_are_few) {
  EXPECT_THAT(said_after([] { fail_setup_with(EMFILE); }), HasSubstr("too few file descriptors"));
  EXPECT_THAT(said_after([] { limit_descriptors(40, 40); }), HasSubstr("the limit is 40;"));
}

TEST(OpenUring, raises_the_soft_limit_of_descriptors_itself) {
  EXPECT_EQ(said_after([] { limit_descriptors(40, 400); }), "open");
}

}  // namespace
}  // namespace sluice::io
