// What a client sends to prove who it is (RFC 9110 11.6.2, RFC 7617, RFC 6750 2.1). Pure functions;
// whatever comes in is a value or a refusal.
#pragma once

#include <optional>
#include <string_view>

#include "http/headers.h"

namespace weir::filters::auth {

struct Authorization {
  enum class State : uint8_t {
    kNone,   // no field, or one of another scheme
    kGiven,  // one field of the scheme: what follows the scheme is in `credentials`
    kTwice,  // several fields: who reads which of them?
  };
  State state = State::kNone;
  std::string_view credentials;
};

Authorization find_authorization(const http::HeaderList& headers, std::string_view scheme);

struct Password {
  std::string_view user;  // without control characters; may be empty
  std::string_view password;
};

inline constexpr size_t kPasswordBytes = 512;  // libcrypt takes no more

// Of a Basic field, copied to the arena. Nothing: it is none, or the password is longer.
std::optional<Password> parse_basic(std::string_view credentials, Arena& arena);

}  // namespace weir::filters::auth
