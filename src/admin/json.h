// JSON with members in the order in which they were written, as admin pages answer it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "proxy/filter.h"

namespace weir::admin {

using Json = nlohmann::ordered_json;

// One line. Bytes that are not UTF-8 (nothing checks a server's name for that) become U+FFFD.
inline std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// A page of it. `why`: a literal, for the log.
proxy::LocalReply json_reply(int status, const Json& body, const char* why = "");

// A page that says what is wrong with the request. `why` as above.
proxy::LocalReply error_reply(int status, const std::string& error, const char* why);

// In UTC, with milliseconds.
std::string rfc3339(uint64_t unix_ms);

}  // namespace weir::admin
