#include "base/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>

#include "base/escape.h"

namespace weir {
namespace {

// What a pipe takes whole or not at all, and without waiting once poll() calls it writable.
constexpr size_t kLineBytesMax = 4096;

const char* name_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::err: return "error";
    case spdlog::level::warn: return "warn";
    case spdlog::level::debug: return "debug";
    default: return "info";
  }
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kWarn: return spdlog::level::warn;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: break;
  }
  return spdlog::level::info;
}

class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_json(bool json) { json_.store(json, std::memory_order_relaxed); }

 protected:
  void sink_it_(const spdlog::details::log_msg& event) override {
    if (lost_ > 0) {
      const std::string notice = fmt::format("{} lines of this log were lost", lost_);
      if (!put_line(event.time, spdlog::level::warn, notice)) {
        ++lost_;
        return;
      }
      lost_ = 0;
    }
    const std::string_view message(event.payload.data(), event.payload.size());
    if (!put_line(event.time, event.level, message)) ++lost_;
  }

  void flush_() override {}

 private:
  bool put_line(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                std::string_view message) {
    format_line(time, level, message);
    while (line_.size() > kLineBytesMax) {
      message = message.substr(0, message.size() / 2);
      format_line(time, level, message);
    }
    return write_line();
  }

  void format_line(spdlog::log_clock::time_point time, spdlog::level::level_enum level,
                   std::string_view message) {
    using std::chrono::duration_cast;
    const auto since_epoch = time.time_since_epoch();
    const auto seconds = duration_cast<std::chrono::seconds>(since_epoch);
    const auto ms = duration_cast<std::chrono::milliseconds>(since_epoch - seconds);
    const std::string when =
        fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds.count()), ms.count());
    const bool json = json_.load(std::memory_order_relaxed);
    line_.clear();
    if (json) {
      constexpr auto kStart = R"({{"time":"{}","level":"{}","message":")";
      fmt::format_to(fmt::appender(line_), kStart, when, name_of(level));
    } else {
      fmt::format_to(fmt::appender(line_), "{} {} ", when, name_of(level));
    }
    const size_t begin = line_.size();
    line_.resize(begin + message.size() * kEscapedMax);
    char* const out = line_.data() + begin;
    char* const end = json ? escape_json(message, out) : escape_text(message, out);
    line_.resize(static_cast<size_t>(end - line_.data()));
    line_.append(fmt::string_view(json ? "\"}\n" : "\n"));
  }

  bool write_line() {
    pollfd writable = {STDERR_FILENO, POLLOUT, 0};
    if (poll(&writable, 1, 0) != 1) return false;
    ssize_t written;
    do {
      written = write(STDERR_FILENO, line_.data(), line_.size());
    } while (written < 0 && errno == EINTR);
    return written == static_cast<ssize_t>(line_.size());
  }

  std::atomic<bool> json_{false};
  fmt::memory_buffer line_;  // with lost_: under base_sink's mutex
  uint64_t lost_ = 0;
};

struct Log {
  std::shared_ptr<StderrSink> sink = std::make_shared<StderrSink>();
  spdlog::logger logger{"weir", sink};
};

// Never destroyed: threads that outlive main() may still log.
Log& process_log() {
  static Log& log = *new Log;
  return log;
}

uint64_t steady_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(
      duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

}  // namespace

bool parse_log_level(std::string_view name, LogLevel& out) {
  for (const LogLevel level :
       {LogLevel::kError, LogLevel::kWarn, LogLevel::kInfo, LogLevel::kDebug}) {
    if (name != name_of(spdlog_level(level))) continue;
    out = level;
    return true;
  }
  return false;
}

void configure_log(LogLevel level, bool json) {
  process_log().sink->set_json(json);
  process_log().logger.set_level(spdlog_level(level));
}

bool log_enabled(LogLevel level) noexcept {
  return process_log().logger.should_log(spdlog_level(level));
}

bool LogThrottle::admit(uint64_t& left_out) noexcept {
  const uint64_t now_ms = steady_ms();
  uint64_t next_ms = next_ms_.load(std::memory_order_relaxed);
  if (now_ms < next_ms || !next_ms_.compare_exchange_strong(next_ms, now_ms + interval_ms_)) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  left_out = left_out_.exchange(0, std::memory_order_relaxed);
  return true;
}

void log_formatted(LogLevel level, uint64_t left_out, fmt::string_view format,
                   fmt::format_args args) noexcept {
  if (!log_enabled(level)) return;
  try {
    fmt::memory_buffer message;
    fmt::vformat_to(fmt::appender(message), format, args);
    if (left_out > 0) {
      fmt::format_to(fmt::appender(message), " ({} more of these were left out)", left_out);
    }
    process_log().logger.log(spdlog_level(level),
                             spdlog::string_view_t(message.data(), message.size()));
  } catch (const std::exception&) {
    // Out of memory: this line is lost, the program goes on.
  }
}

}  // namespace weir
