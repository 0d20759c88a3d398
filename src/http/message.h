// What a request and an answer look like once they are understood. Filled by a codec, edited by
// filters, written by a codec; knows nothing of a protocol version's bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "http/headers.h"

namespace weir::http {

enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kConnect,
  kOptions,
  kTrace,
  kPatch,
  kOther
};
enum class Version : uint8_t { kHttp10, kHttp11, kHttp2 };

// What a Via field of weir's own says of a message that came in that version (RFC 9110 7.6.3).
std::string_view via_of(Version version);  // "1.1 weir"

// How the end of a body is known (RFC 9112 6.3).
enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

// Safe or idempotent by RFC 9110 9.2.2: may be sent twice.
bool is_idempotent(Method method);
std::string_view method_name(Method method);  // "OTHER" for kOther: the metrics label
Method parse_method(std::string_view text);   // methods are case-sensitive; kOther if not one above

// One bit per method, for sets of them.
using MethodSet = uint16_t;
constexpr MethodSet bit(Method method) {
  return static_cast<MethodSet>(1u << static_cast<unsigned>(method));
}
// What weir passes on: CONNECT and TRACE end here.
inline constexpr MethodSet kPassedMethods =
    bit(Method::kGet) | bit(Method::kHead) | bit(Method::kPost) | bit(Method::kPut) |
    bit(Method::kDelete) | bit(Method::kOptions) | bit(Method::kPatch);
std::string method_list(MethodSet methods);  // "GET, HEAD", as an Allow field has it

struct RequestHead {
  explicit RequestHead(Arena& arena) : headers(arena) {}
  void copy_from(const RequestHead& other);  // the table of fields, not the text

  Method method = Method::kGet;
  Version version = Version::kHttp11;
  Framing framing = Framing::kNone;  // never kUntilClose
  bool keep_alive = true;            // the client would send another request on this connection
  bool expect_continue = false;      // "Expect: 100-continue" from an HTTP/1.1 client
  uint64_t content_length = 0;       // with kLength
  std::string_view method_text;      // as it came
  std::string_view target;  // origin-form that goes on ("*" for OPTIONS *); from absolute-form too
  std::string_view path;    // of target, as it came, without query
  std::string_view query;   // of target, without "?"
  std::string_view authority;  // the Host (or the absolute-form's authority) as it came
  std::string_view host;       // authority lower-cased, without port and trailing dot
  std::string_view upgrade;    // protocol of a valid upgrade request ("websocket"), else empty
  HeaderList headers;          // all fields as they came, hop-by-hop ones included
};

struct ResponseHead {
  explicit ResponseHead(Arena& arena) : headers(arena) {}

  int status = 0;
  Version version = Version::kHttp11;
  Framing framing = Framing::kNone;
  bool keep_alive = true;             // the server would take another request on this connection
  uint64_t content_length = 0;        // with kLength; for HEAD and 304 what the header said
  uint32_t keep_alive_timeout_s = 0;  // from "Keep-Alive: timeout=N"; 0 = not said
  std::string_view reason;
  std::string_view upgrade;  // of a 101
  HeaderList headers;
};

}  // namespace weir::http
