// The process's own log (not the access log): one line per event on stderr, with an RFC 3339 time
// in UTC, as text or as JSON. Any thread; never throws. A caller waits for one short write at most:
// a stderr that takes nothing (a stuck pipe) loses lines, and the next line that gets out says how
// many. Values are escaped here. Secrets are the caller's to leave out.
#pragma once

#include <fmt/core.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace weir {

enum class LogLevel : uint8_t { kError, kWarn, kInfo, kDebug };

// "error", "warn", "info", "debug". False: none of them.
bool parse_log_level(std::string_view name, LogLevel& out);

// From the next line on. Before the first call: info, as text.
void configure_log(LogLevel level, bool json);
bool log_enabled(LogLevel level) noexcept;

// At most one line per interval for an event that repeats; the next line tells how many were left
// out. One static object per place that logs. Any thread.
class LogThrottle {
 public:
  explicit constexpr LogThrottle(uint64_t interval_ms) : interval_ms_(interval_ms) {}
  // True: log now; `left_out` is the number of calls that got false since the last true.
  bool admit(uint64_t& left_out) noexcept;

 private:
  const uint64_t interval_ms_;
  std::atomic<uint64_t> next_ms_{0};
  std::atomic<uint64_t> left_out_{0};
};

void log_formatted(LogLevel level, uint64_t left_out, fmt::string_view format,
                   fmt::format_args args) noexcept;

template <typename... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) noexcept {
  log_formatted(LogLevel::kError, 0, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) noexcept {
  log_formatted(LogLevel::kWarn, 0, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) noexcept {
  log_formatted(LogLevel::kInfo, 0, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) noexcept {
  if (!log_enabled(LogLevel::kDebug)) return;
  log_formatted(LogLevel::kDebug, 0, format, fmt::make_format_args(args...));
}

template <typename... Args>
void log_warn_once_per(LogThrottle& throttle, fmt::format_string<Args...> format,
                       Args&&... args) noexcept {
  uint64_t left_out = 0;
  if (!throttle.admit(left_out)) return;
  log_formatted(LogLevel::kWarn, left_out, format, fmt::make_format_args(args...));
}

}  // namespace weir
