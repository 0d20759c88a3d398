// A small blocking HTTP/1.1 client for the admin endpoint of a running weir: one request per
// connection, bounded in time and size. For the command line only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weir::admin {

struct Target {
  std::string address;  // host:port, [v6]:port or unix:/path
  std::string token;    // empty: none
};

struct Answer {
  int status = 0;
  std::string body;
};

// `method` and `path` are sent as they are, and `json` as the body unless it is empty. Fails, with
// a sentence for the user, when nobody answers there, when the answer does not come within
// `timeout_ms` in all, when it is larger than 64 MiB, or when it is none that a weir sends.
Result<Answer> ask(const Target& target, std::string_view method, std::string_view path,
                   uint64_t timeout_ms, std::string_view json = {});

// All that came until the connection's end. Apart from ask() for tests.
Result<Answer> parse_answer(std::string_view bytes);

}  // namespace weir::admin
