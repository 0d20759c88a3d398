#include "admin/json.h"

#include <fmt/chrono.h>

#include <ctime>

namespace weir::admin {

proxy::LocalReply json_reply(int status, const Json& body, const char* why) {
  return {status,
          {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
          to_line(body),
          why};
}

proxy::LocalReply error_reply(int status, const std::string& error, const char* why) {
  return json_reply(status, Json::object({{"error", error}}), why);
}

std::string rfc3339(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), unix_ms % 1000);
}

}  // namespace weir::admin
