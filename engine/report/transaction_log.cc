#include "engine/report/transaction_log.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <span>
#include <utility>

#include "engine/report/log_line.h"
#include "io/check.h"

namespace sluice::engine::report {

namespace {

/// How long a shard goes on writing to a file that was moved away. Under load the path is opened
/// anew this often: that finds every kind of rotation, by the leader, by logrotate with or without
/// a signal, by rm.
constexpr io::Duration look_interval = std::chrono::seconds(1);
constexpr io::Duration retry_interval = std::chrono::seconds(1);
constexpr size_t buffer_bytes_kept = 1024 * 1024;
constexpr int open_flags = O_RDWR | O_APPEND | O_CREAT;
constexpr uint32_t file_mode = 0640, folder_mode = 0700;

/// transactions-20261122T052744.123456Z.jsonl: names sort as time does.
std::string rotated_name(io::WallTime now) {
  std::string text;
  TimeText().append(text, now);
  std::erase(text, '-');
  std::erase(text, ':');
  return fmt::format("transactions-{}.jsonl", text);
}

/// How much of `lines` the file ends with already, `tail` being its end. Only a beginning of ours
/// can match: another's line begins with another time, recipient or attempt.
size_t written_bytes(std::string_view tail, std::string_view lines) {
  for (size_t n = std::min(tail.size(), lines.size()); n > 0; --n) {
    const bool is_line =
        lines.front() == '\n' || n == tail.size() || tail[tail.size() - n - 1] == '\n';
    if (is_line && tail.ends_with(lines.substr(0, n))) return n;
  }
  return 0;
}

class Log final : public TransactionLog {
 public:
  Log(io::EventLoop& loop, const std::string& folder, bool leader, Listener& listener);
  ~Log() override;

  std::expected<void, std::string> open();

  void append(const LogEntry& entry) override { writer_.append(pending_, entry); }
  bool has_pending() const override { return !pending_.empty(); }
  bool is_flushing() const override { return flushing_; }
  bool is_full() const override { return pending_.size() >= pending_bytes_max; }
  void flush() override;
  void reopen() override { reopen_wanted_ = true; }

 private:
  bool end_last_line();
  void begin();
  void look();
  void open_file();
  void prepare();
  void write();
  void written();
  void finish();
  void refused(int32_t error);
  void close(io::File file);

  void stat_done(io::Stat& op, const io::Completion& completion);
  void rename_done(io::Rename& op, const io::Completion& completion);
  void open_done(io::Open& op, const io::Completion& completion);
  void close_done(io::CloseFile& op, const io::Completion& completion);
  void size_done(io::Stat& op, const io::Completion& completion);
  void read_done(io::Read& op, const io::Completion& completion);
  void write_done(io::Write& op, const io::Completion& completion);

  io::Proactor& proactor() { return loop_.proactor(); }

  io::EventLoop& loop_;
  Listener& listener_;
  const std::string folder_, path_;
  const bool is_leader_;

  LogLineWriter writer_;
  std::string pending_, writing_;
  size_t written_ = 0;  // of writing_, by a write that failed behind it
  bool flushing_ = false, is_stalled_ = false, reopen_wanted_ = false;
  // Where one fails after an unknown part of it the file may end within a line, and whoever writes
  // next must not go on behind that: so all pens of the process count together.
  inline static std::atomic<uint32_t> failed_writes_{0};
  uint32_t failures_dealt_with_ = failed_writes_, failures_seen_ = 0;
  io::File file_;
  io::Instant looked_at_{};

  std::string tail_;
  io::Stat stat_, size_;
  io::Read read_;
  io::Rename rename_;
  io::Open open_;
  io::CloseFile close_;
  io::Write write_;
  io::Timer retry_timer_, told_timer_;
};

Log::Log(io::EventLoop& loop, const std::string& folder, bool leader, Listener& listener)
    : loop_(loop),
      listener_(listener),
      folder_(folder),
      path_(folder + "/transactions.jsonl"),
      is_leader_(leader) {
  stat_.bind<&Log::stat_done>(this);
  rename_.bind<&Log::rename_done>(this);
  open_.bind<&Log::open_done>(this);
  close_.bind<&Log::close_done>(this);
  size_.bind<&Log::size_done>(this);
  read_.bind<&Log::read_done>(this);
  write_.bind<&Log::write_done>(this);
  retry_timer_.bind<&Log::begin>(this);
  told_timer_.bind<&Log::finish>(this);
}

Log::~Log() {
  const bool was_opening = open_.in_flight;
  for (io::Op* op :
       std::initializer_list<io::Op*>{&stat_, &rename_, &open_, &close_, &size_, &read_, &write_}) {
    op->callback = [](void*, io::Op&, const io::Completion&) {};
    while (op->in_flight) proactor().wait(io::never, 64);
  }
  close(file_);
  if (was_opening) close(open_.file);
}

void Log::close(io::File file) {
  if (!file.is_open()) return;
  io::CloseFile op;
  op.file = file;
  io::run(proactor(), op);
}

int32_t make_directories(io::Proactor& proactor, const std::string& path) {
  io::MakeDirectory make;
  make.path = path;
  make.mode = folder_mode;
  int32_t result = io::run(proactor, make);
  const size_t slash = path.find_last_of('/');
  if (result == -ENOENT && slash != std::string::npos && slash > 0) {
    result = make_directories(proactor, path.substr(0, slash));
    if (result == 0) result = io::run(proactor, make);
  }
  return result == -EEXIST ? 0 : result;
}

std::expected<void, std::string> Log::open() {
  const auto failed = [this](int32_t error) {
    return std::unexpected(fmt::format(
        "transaction log {}: {}; engine.log must name a folder that this user can write to", path_,
        std::strerror(-error)));
  };
  if (const int32_t result = make_directories(proactor(), folder_); result < 0)
    return failed(result);
  io::Open open;
  open.path = path_;
  open.flags = open_flags;
  open.mode = file_mode;
  if (const int32_t result = io::run(proactor(), open); result < 0) return failed(result);
  file_ = open.file;
  looked_at_ = loop_.now();
  if (is_leader_ && !end_last_line()) ++failed_writes_;
  return {};
}

/// Of a process that was killed. Now, while nobody writes: later a look at the end may see half of
/// what another shard is writing. False: the disk refuses.
bool Log::end_last_line() {
  io::Stat stat;
  stat.path = path_;
  if (io::run(proactor(), stat) < 0) return false;
  if (stat.size == 0) return true;
  char last = 0;
  io::Read read;
  read.file = file_;
  read.offset = stat.size - 1;
  read.bytes = std::as_writable_bytes(std::span(&last, 1));
  if (io::run(proactor(), read) != 1) return false;
  if (last == '\n') return true;
  constexpr char end = '\n';
  io::Write write;
  write.file = file_;
  write.offset = io::Write::append_offset;
  write.bytes = std::as_bytes(std::span(&end, 1));
  return io::run(proactor(), write) >= 0;
}

void Log::flush() {
  if (flushing_) return;
  flushing_ = true;
  if (pending_.empty()) return loop_.timers().arm(told_timer_, loop_.now());
  writing_.swap(pending_);
  begin();
}

void Log::begin() {
  if (!file_.is_open() || reopen_wanted_ || loop_.now() - looked_at_ >= look_interval)
    look();
  else
    prepare();
}

void Log::look() {
  reopen_wanted_ = false;
  if (!is_leader_) return open_file();
  stat_.path = path_;
  proactor().submit(stat_);
}

void Log::stat_done(io::Stat& op, const io::Completion& completion) {
  if (completion.result < 0 || op.size < file_bytes_max) return open_file();
  rename_.from = path_;
  rename_.to = folder_ + "/" + rotated_name(loop_.wall());
  rename_.keep_existing = true;
  proactor().submit(rename_);
}

// Whatever it came to: where it failed, the file goes on growing and the next look tries again.
void Log::rename_done(io::Rename&, const io::Completion&) { open_file(); }

void Log::open_file() {
  open_.path = path_;
  open_.flags = open_flags;
  open_.mode = file_mode;
  proactor().submit(open_);
}

void Log::open_done(io::Open& op, const io::Completion& completion) {
  if (completion.result < 0) {
    reopen_wanted_ = true;
    return refused(completion.result);
  }
  looked_at_ = loop_.now();
  close_.file = std::exchange(file_, op.file);
  if (close_.file.is_open())
    proactor().submit(close_);
  else
    prepare();
}

void Log::close_done(io::CloseFile&, const io::Completion&) { prepare(); }

void Log::prepare() {
  failures_seen_ = failed_writes_;
  if (failures_seen_ == failures_dealt_with_) return write();
  size_.path = path_;
  proactor().submit(size_);
}

void Log::size_done(io::Stat& op, const io::Completion& completion) {
  if (completion.result < 0) return refused(completion.result);
  tail_.resize(std::min<uint64_t>(op.size, writing_.size()));
  written_ = 0;
  if (tail_.empty()) return write();
  read_.file = file_;
  read_.offset = op.size - tail_.size();
  read_.bytes = std::as_writable_bytes(std::span(tail_));
  proactor().submit(read_);
}

void Log::read_done(io::Read&, const io::Completion& completion) {
  if (completion.result < 0) return refused(completion.result);
  tail_.resize(static_cast<size_t>(completion.result));
  written_ = written_bytes(tail_, writing_);
  if (written_ == 0 && !tail_.ends_with('\n') && !writing_.starts_with('\n'))
    writing_.insert(0, 1, '\n');
  tail_ = {};
  if (written_ == writing_.size()) return written();
  write();
}

void Log::write() {
  write_.file = file_;
  write_.offset = io::Write::append_offset;
  write_.bytes = std::as_bytes(std::span(writing_)).subspan(written_);
  proactor().submit(write_);
}

void Log::write_done(io::Write&, const io::Completion& completion) {
  if (completion.result < 0) {
    ++failed_writes_;
    return refused(completion.result);
  }
  written();
}

void Log::written() {
  failures_dealt_with_ = failures_seen_;
  writing_.clear();
  written_ = 0;
  if (writing_.capacity() > buffer_bytes_kept) writing_.shrink_to_fit();
  finish();
}

void Log::finish() {
  flushing_ = false;
  if (std::exchange(is_stalled_, false)) listener_.log_resumed();
  listener_.log_flushed();
}

void Log::refused(int32_t error) {
  loop_.timers().arm(retry_timer_, loop_.now() + retry_interval);
  if (std::exchange(is_stalled_, true)) return;
  listener_.log_stalled(fmt::format(
      "transaction log {}: {}; no new message starts until it can be written, trying every second",
      path_, std::strerror(-error)));
}

}  // namespace

std::expected<std::unique_ptr<TransactionLog>, std::string> TransactionLog::open(
    io::EventLoop& loop, const std::string& folder, bool leader, Listener& listener) {
  auto log = std::make_unique<Log>(loop, folder, leader, listener);
  if (auto opened = log->open(); !opened) return std::unexpected(std::move(opened.error()));
  return log;
}

}  // namespace sluice::engine::report
