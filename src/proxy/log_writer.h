// The thread that writes the access log. A disk that is full or a pipe that nobody reads costs
// lines, which are counted, and never a worker's time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

// Whole lines on their way to the writer. Buffers circulate: the steady path allocates nothing.
struct LogBuffer {
  static constexpr size_t kBytes =
      size_t{64} * 1024;  // more only for a line that does not fit otherwise

  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  size_t used = 0;
  uint32_t lines = 0;
};

// One per process: owns the file descriptor and a thread that does the blocking writes. What waits
// for it is bounded (kQueuedBytesMax). Created, reopened and ended by the main thread.
class LogWriter {
 public:
  static constexpr size_t kQueuedBytesMax = 64 * LogBuffer::kBytes;

  // Failure: the file cannot be opened, or no thread started. With "off" it waits to be switched.
  static Result<std::unique_ptr<LogWriter>> open(const std::string& path);
  // Writes what is queued, then stops the thread. After 1 s it leaves both behind: a stuck pipe
  // must not hold up the exit.
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Takes the buffer if there is room and puts an empty one (maybe without memory) in its place.
  // False: not taken, the caller drops and counts its lines. Any thread; never waits for a write.
  bool submit(LogBuffer& buffer);
  // SIGUSR1. Nothing queued is lost but a line of which a pipe that takes no more has a part. A
  // failure keeps the old file and is logged.
  void reopen();
  // The same for another path, in two steps, so that a reload can fail in between: a descriptor
  // that switch_to() takes.
  static Result<int> open_target(const std::string& path);
  void switch_to(const std::string& path, int target);
  const std::string& path() const { return path_; }
  // Until all that was submitted is written or given up, at most so long. False: it is not. Main
  // thread.
  bool wait_written(uint64_t ms);
  uint64_t dropped_lines() const;  // by failed writes; any thread

 private:
  enum class Switch : uint8_t { kNone, kSame, kOther };  // to the next target
  struct Shared;  // what the thread works on; outlives *this where the thread is stuck
  LogWriter(std::string path, std::shared_ptr<Shared> shared);

  std::string path_;
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace weir::proxy
