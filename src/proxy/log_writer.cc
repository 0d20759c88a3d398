#include "proxy/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/clock.h"

namespace weir::proxy {
namespace {

constexpr size_t kQueuedMax = LogWriter::kQueuedBytesMax / LogBuffer::kBytes;
constexpr uint64_t kStopWriteMs = 800;  // how long the thread goes on writing once it is to stop
constexpr uint64_t kStopWaitMs = 1000;  // how long the exit waits for it
constexpr int kStuckPollMs = 100;       // how soon a thread that waits for a pipe sees the stop
constexpr uint64_t kWarnIntervalMs = 60'000;

std::string error_text(int error) { return std::generic_category().message(error); }

bool is_regular_file(int fd) {
  struct stat status = {};
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool is_same_file(int one, int other) {
  struct stat a = {};
  struct stat b = {};
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

// No signal is ever handled on the writer's thread; a broken pipe is EPIPE there, not SIGPIPE.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace

struct LogWriter::Shared {
  explicit Shared(int fd) : target(fd), is_file(is_regular_file(fd)) {
    queue.reserve(kQueuedMax);
    empty.reserve(kQueuedMax);
  }
  ~Shared() {
    ::close(target);
    if (next_target >= 0) ::close(next_target);
  }

  void run();
  Switch take_next_target();
  void write_out(std::string_view bytes);
  bool write_lines(std::string_view& bytes);
  bool write_all(std::string_view& bytes);
  bool wait_until_writable() const;
  void give_up(std::string_view rest, int error);
  void tell_dropped(std::string_view why);
  void recycle(LogBuffer& buffer);

  // Under the mutex.
  std::mutex mutex;
  std::condition_variable changed;      // any of the following
  std::condition_variable all_written;  // all that was queued
  std::vector<LogBuffer> queue;         // oldest first
  std::vector<LogBuffer> empty;
  size_t queued_bytes = 0;  // capacity of what is queued or being written
  int next_target = -1;     // from reopen(), to be taken by the thread
  bool stopping = false;
  bool done = false;

  // Any thread.
  std::atomic<uint64_t> give_up_at_ms{UINT64_MAX};
  std::atomic<uint64_t> dropped_lines{0};  // by the thread
  std::atomic<uint64_t> refused_lines{0};  // there was no room for them
  std::atomic<bool> switching{false};      // next_target is set

  // The thread only.
  int target;
  bool is_file;
  bool is_torn = false;  // the last write that worked ended within a line
};

void LogWriter::Shared::run() {
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [this] { return !queue.empty() || next_target >= 0 || stopping; });
    if (next_target >= 0) {
      lock.unlock();
      take_next_target();
      lock.lock();
    }
    if (queue.empty()) {
      if (stopping) break;
      continue;
    }
    LogBuffer buffer = std::move(queue.front());
    queue.erase(queue.begin());
    lock.unlock();
    write_out({buffer.bytes.get(), buffer.used});
    lock.lock();
    recycle(buffer);
  }
  done = true;
  changed.notify_all();
}

void LogWriter::Shared::recycle(LogBuffer& buffer) {
  queued_bytes -= buffer.capacity;
  if (queued_bytes == 0) all_written.notify_all();
  if (buffer.capacity > LogBuffer::kBytes) return;  // made for one long line
  buffer.used = 0;
  buffer.lines = 0;
  empty.push_back(std::move(buffer));
}

LogWriter::Switch LogWriter::Shared::take_next_target() {
  const std::lock_guard lock(mutex);
  switching.store(false, std::memory_order_relaxed);
  if (next_target < 0) return Switch::kNone;
  const bool same = is_same_file(target, next_target);
  ::close(target);
  target = std::exchange(next_target, -1);
  if (same) return Switch::kSame;
  is_file = is_regular_file(target);
  is_torn = false;
  return Switch::kOther;
}

// What one target does not take is for the next one, if there is one by now.
void LogWriter::Shared::write_out(std::string_view bytes) {
  for (const char* begin = bytes.data(); !write_lines(bytes); begin = bytes.data()) {
    const int error = errno;
    const bool stopped_in_a_line = is_torn && bytes.data() != begin;
    switch (take_next_target()) {
      case Switch::kNone: return give_up(bytes, error);
      case Switch::kSame:  // opened anew, as a pipe is: the line goes on
        if (stopped_in_a_line) is_torn = false;
        break;
      case Switch::kOther:
        if (!stopped_in_a_line) break;
        bytes.remove_prefix(bytes.find('\n') + 1);
        dropped_lines.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

// As write_all().
bool LogWriter::Shared::write_lines(std::string_view& bytes) {
  if (is_torn) {
    std::string_view newline = "\n";
    if (!write_all(newline)) return false;
    is_torn = false;
  }
  const char* const begin = bytes.data();
  if (write_all(bytes)) return true;
  is_torn = bytes.data() != begin && bytes.data()[-1] != '\n';
  return false;
}

// Leaves in `bytes` what was not written, with the reason in errno. Anything but a file gets whole
// lines of at most PIPE_BUF: atomic beside other writers, and a pipe that polls writable takes them
// without waiting (an inherited stdout must not be made non-blocking: others share its flags).
bool LogWriter::Shared::write_all(std::string_view& bytes) {
  while (!bytes.empty()) {
    size_t piece = bytes.size();
    if (!is_file) {
      if (!wait_until_writable()) return false;
      if (piece > PIPE_BUF) {
        const size_t newline = bytes.rfind('\n', PIPE_BUF - 1);
        piece = newline == std::string_view::npos ? PIPE_BUF : newline + 1;
      }
    }
    const ssize_t written = ::write(target, bytes.data(), piece);
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      poll(nullptr, 0, 1);  // another writer was faster
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool LogWriter::Shared::wait_until_writable() const {
  for (;;) {
    const bool late = net::monotonic_ms() >= give_up_at_ms.load(std::memory_order_relaxed);
    pollfd writable = {target, POLLOUT, 0};
    if (poll(&writable, 1, late ? 0 : kStuckPollMs) > 0) return true;
    if (switching.load(std::memory_order_relaxed)) {
      errno = ESTALE;
      return false;
    }
    if (late) {
      errno = ECANCELED;
      return false;
    }
  }
}

void LogWriter::Shared::give_up(std::string_view rest, int error) {
  const auto lines = static_cast<uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
  dropped_lines.fetch_add(lines, std::memory_order_relaxed);
  tell_dropped("a write failed: " + error_text(error));
}

void LogWriter::Shared::tell_dropped(std::string_view why) {
  static LogThrottle throttle(kWarnIntervalMs);
  log_warn_once_per(throttle, "access log: {}; {} lines dropped so far", why,
                    dropped_lines.load(std::memory_order_relaxed) +
                        refused_lines.load(std::memory_order_relaxed));
}

LogWriter::LogWriter(std::string path, std::shared_ptr<Shared> shared)
    : path_(std::move(path)), shared_(std::move(shared)) {
  const AllSignalsBlocked inherited_by_the_thread;
  thread_ = std::thread([shared = shared_] { shared->run(); });
}

// A descriptor of our own. O_NONBLOCK: a FIFO without a reader is an error, not a wait; it says
// nothing to regular files.
Result<int> LogWriter::open_target(const std::string& path) {
  int fd;
  if (path == "stdout") {
    fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  } else if (path == "stderr") {
    fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  } else {
    constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    fd = ::open(path == "off" ? "/dev/null" : path.c_str(), kFlags, 0640);
  }
  if (fd < 0) return Result<int>::failure("access log " + path + ": " + error_text(errno));
  return fd;
}

Result<std::unique_ptr<LogWriter>> LogWriter::open(const std::string& path) {
  using Out = Result<std::unique_ptr<LogWriter>>;
  Result<int> target = open_target(path);
  if (!target.ok()) return Out::failure(target.error());
  auto shared = std::make_shared<Shared>(target.value());
  try {
    return Out(std::unique_ptr<LogWriter>(new LogWriter(path, std::move(shared))));
  } catch (const std::system_error& error) {
    return Out::failure(std::string("access log: no thread: ") + error.what());
  }
}

LogWriter::~LogWriter() {
  std::unique_lock lock(shared_->mutex);
  shared_->give_up_at_ms.store(net::monotonic_ms() + kStopWriteMs, std::memory_order_relaxed);
  shared_->stopping = true;
  shared_->changed.notify_all();
  const bool done = shared_->changed.wait_for(lock, std::chrono::milliseconds(kStopWaitMs),
                                              [this] { return shared_->done; });
  uint64_t dropped = dropped_lines() + shared_->refused_lines.load(std::memory_order_relaxed);
  for (const LogBuffer& buffer : shared_->queue) dropped += buffer.lines;
  lock.unlock();
  if (dropped > 0) {
    log_warn("access log: {} lines were not written since the start", dropped);
  }
  if (done) {
    thread_.join();
  } else {
    thread_.detach();  // within write(2), on something that never comes back; it holds Shared
  }
}

bool LogWriter::submit(LogBuffer& buffer) {
  std::unique_lock lock(shared_->mutex);
  // One buffer that is bigger than the whole bound still goes, alone.
  const size_t queued = shared_->queued_bytes;
  if (queued > 0 && queued + buffer.capacity > kQueuedBytesMax) {
    lock.unlock();
    shared_->refused_lines.fetch_add(buffer.lines, std::memory_order_relaxed);
    shared_->tell_dropped("it takes less than there is");
    return false;
  }
  shared_->queued_bytes += buffer.capacity;
  shared_->queue.push_back(std::exchange(buffer, LogBuffer()));
  if (!shared_->empty.empty()) {
    buffer = std::move(shared_->empty.back());
    shared_->empty.pop_back();
  }
  shared_->changed.notify_one();
  return true;
}

void LogWriter::reopen() {
  if (path_ == "stdout" || path_ == "stderr" || path_ == "off") return;
  Result<int> target = open_target(path_);
  if (!target.ok()) {
    log_warn("{}; the old file goes on", target.error());
    return;
  }
  switch_to(path_, target.value());
}

void LogWriter::switch_to(const std::string& path, int target) {
  path_ = path;
  const std::lock_guard lock(shared_->mutex);
  if (shared_->next_target >= 0) ::close(shared_->next_target);
  shared_->next_target = target;
  shared_->switching.store(true, std::memory_order_relaxed);
  shared_->changed.notify_one();
}

bool LogWriter::wait_written(uint64_t ms) {
  std::unique_lock lock(shared_->mutex);
  return shared_->all_written.wait_for(lock, std::chrono::milliseconds(ms),
                                       [this] { return shared_->queued_bytes == 0; });
}

uint64_t LogWriter::dropped_lines() const {
  return shared_->dropped_lines.load(std::memory_order_relaxed);
}

}  // namespace weir::proxy
