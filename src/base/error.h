// What went wrong, whose fault it is, and whether the request may be tried again. One mapping table
// (proxy/local_reply.h) turns an Error into a status; the access log prints source and detail.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace weir {

// Who caused the failure.
enum class Source : uint8_t { kNone, kClient, kUpstream, kWeir };

enum class ErrorKind : uint8_t {
  kNone,
  kMalformed,    // a message that breaks RFC 9110/9112
  kTooLarge,     // a head or a body over its limit
  kTimeout,      // a deadline passed
  kConnect,      // no connection could be made
  kTls,          // no TLS could be agreed on
  kCertificate,  // the peer's certificate cannot be trusted
  kReset,        // the peer closed or reset in the middle
  kNoServer,     // nobody left to ask
  kRefused,      // policy said no
  kOverload,     // a bound of weir's own was reached
  kShutdown,     // weir ends, and this had not
  kInternal,
};

// Retry says what the failing layer knows; policy (idempotency, budget) is decided above it.
enum class Retry : uint8_t {
  kNever,
  kNothingSent,   // not a byte of the request left: safe for every method
  kIfIdempotent,  // bytes left, but not a byte of an answer came
};

struct Error {
  Source source = Source::kNone;
  ErrorKind kind = ErrorKind::kNone;
  Retry retry = Retry::kNever;
  const char* detail = "";  // a literal: shown in the access log, never to the client

  explicit operator bool() const { return kind != ErrorKind::kNone; }
};

// A value or the text of why there is none. For set-up code (config, sockets), not for the data
// path.
template <typename T>
class Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit by design
  static Result failure(std::string why) { return Result(Failure{std::move(why)}); }

  bool ok() const { return state_.index() == 0; }
  T& value() {
    WEIR_CHECK(ok());
    return std::get<0>(state_);
  }
  const std::string& error() const {
    WEIR_CHECK(!ok());
    return std::get<1>(state_).why;
  }

 private:
  struct Failure {
    std::string why;
  };
  explicit Result(Failure failure) : state_(std::in_place_index<1>, std::move(failure)) {}
  std::variant<T, Failure> state_;
};

}  // namespace weir
