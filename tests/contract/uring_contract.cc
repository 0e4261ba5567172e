// The suite on the kernel itself, and what only the kernel can show.
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/check.h"
#include "io/uring.h"
#include "tests/contract/machine.h"

namespace sluice::io::contract {
namespace {

class UringWorld final : public ProactorWorld {
 public:
  explicit UringWorld(unsigned proactors) {
    std::string path = std::filesystem::temp_directory_path() / "sluice-contract-XXXXXX";
    CHECK(mkdtemp(path.data()));
    scratch_ = path;
    for (unsigned i = 0; i < proactors; ++i) {
      auto uring = open_uring();
      if (!uring) ADD_FAILURE() << uring.error().message;
      CHECK(uring);
      proactors_.push_back(std::move(*uring));
    }
  }

  ~UringWorld() override {
    setfsuid(geteuid());
    for (const int descriptor : held_) close(descriptor);
    std::filesystem::remove_all(scratch_);
  }

  Proactor& proactor(size_t index) override { return *proactors_.at(index); }
  std::string scratch() override { return scratch_; }
  std::string full_file() override { return "/dev/full"; }

  bool advance_until(const std::function<bool()>& condition, Duration limit) override {
    const Instant end = proactors_[0]->now() + limit;
    while (!condition()) {
      if (proactors_[0]->now() >= end) return false;
      for (auto& proactor : proactors_) {
        if (proactors_.size() == 1)
          proactor->wait(std::min(end, proactor->now() + 1ms), 512);
        else
          proactor->wait(Instant::min(), 512);
      }
    }
    return true;
  }

  /// A listener whose queue is full: the kernel drops further SYNs.
  SocketAddress black_hole() override {
    const int listener = hold(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    SocketAddress address = *SocketAddress::parse("127.0.0.1:0");
    CHECK(bind(listener, address.data(), address.size()) == 0 && listen(listener, 0) == 0);
    socklen_t size = SocketAddress::capacity();
    CHECK(getsockname(listener, address.data(), &size) == 0);
    for (int i = 0; i < 3; ++i) {
      const int filler = hold(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      CHECK(connect(filler, address.data(), address.size()) == 0 || errno == EINPROGRESS);
    }
    return address;
  }

  std::string forbidden_directory() override {
    const std::string path = scratch_ + "/forbidden";
    CHECK(mkdir(path.c_str(), 0) == 0);
    if (geteuid() != 0) return path;
    // Root may do everything; as another user for file access (this thread only) it may not.
    CHECK(chmod(scratch_.c_str(), 0755) == 0);
    constexpr uid_t nobody = 65534;
    setfsuid(nobody);
    return path;
  }

 private:
  int hold(int descriptor) {
    CHECK(descriptor >= 0);
    return held_.emplace_back(descriptor);
  }

  std::vector<std::unique_ptr<Proactor>> proactors_;
  std::vector<int> held_;
  std::string scratch_;
};

std::unique_ptr<ProactorWorld> make_uring_world(unsigned proactors) {
  return std::make_unique<UringWorld>(proactors);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Uring, ProactorContract,
                         testing::Values(WorldKind{"uring", make_uring_world}));

}  // namespace sluice::io::contract
