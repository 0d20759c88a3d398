// The access log: each worker formats lines into a buffer of its own and hands full ones (and, on
// its tick, begun ones) to the process's LogWriter. A worker never waits for a disk or a pipe: what
// the writer has no room for is dropped and counted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxy/log_writer.h"
#include "proxy/metrics.h"
#include "proxy/snapshot.h"
#include "proxy/summary.h"

namespace weir::proxy {

// Turns a Summary into one line, in about 0.15 us. Every value is escaped: the line stays one line
// and valid whatever bytes it holds. Keeps the text of the current second; thread-confined.
class LineFormatter {
 public:
  // What a line may take at most.
  static size_t bytes_max(const Summary& summary);
  // Each writes one line with its "\n" to `out`, which has room for bytes_max(); returns its end.
  char* json(const Summary& summary, char* out);
  char* combined(const Summary& summary, char* out);  // as nginx and Apache have it

 private:
  static constexpr size_t kJsonSecondBytes = 19;    // 2026-08-01T12:34:56
  static constexpr size_t kCombinedTimeBytes = 26;  // 01/Aug/2026:12:34:56 +0000
  void keep_second(uint64_t unix_s);

  uint64_t second_ = UINT64_MAX;  // whose text is kept
  char json_second_[kJsonSecondBytes + 1] = {};
  char combined_time_[kCombinedTimeBytes + 1] = {};
};

// One per worker (thread-confined).
class AccessLog {
 public:
  AccessLog(LogWriter* writer, Metrics& metrics);  // null writer: access log is off
  ~AccessLog() { flush(); }
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  void configure(const AccessLogConfig& config);
  // Writes one line, unless the route wants none or the sample leaves it out. True when it is the
  // first in its buffer (the caller then arms its tick).
  bool append(const Summary& summary);
  void flush();  // hands on what there is

 private:
  bool is_sampled();
  void make_room(size_t bytes);

  LogWriter* const writer_;
  Metrics& metrics_;
  LogFormat format_ = LogFormat::kJson;
  uint64_t sample_below_ = UINT64_MAX;  // of random_; UINT64_MAX = every line
  uint64_t random_;
  LineFormatter formatter_;
  LogBuffer buffer_;
};

}  // namespace weir::proxy
