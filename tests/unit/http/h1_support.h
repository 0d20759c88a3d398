// Raw bytes to heads, as a connection does it: scan, copy to the arena, parse. For tests.
#pragma once

#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/buffer.h"
#include "http/h1_parser.h"
#include "http/rules.h"

namespace weir::http::test {

inline BlockPool& pool() {
  static BlockPool instance;
  return instance;
}

inline std::string text_of(const Buffer& buffer) {
  std::string text;
  std::string_view spans[64];
  const size_t count = buffer.spans(spans, 64);
  for (size_t i = 0; i < count; ++i) text += spans[i];
  return text;
}

// One head and what became of it. `rest` is what follows it in the input.
template <typename Head>
struct Parsed {
  Arena arena{pool()};
  Head head{arena};
  HeaderList trailers{arena};
  H1Parser parser;
  Refusal refusal;
  bool complete = false;
  std::string_view rest;

  std::string_view take_head(std::string_view bytes, bool request, const HeadLimits& limits) {
    const HeadScan scan = scan_head(bytes, 0, request, limits);
    refusal = scan.refusal;
    if (refusal || scan.end == 0) return {};
    complete = true;
    rest = bytes.substr(scan.end);
    return arena.copy(bytes.substr(scan.begin, scan.end - scan.begin));
  }
};

struct Request : Parsed<RequestHead> {
  explicit Request(std::string_view bytes, const HeadLimits& limits = {}) {
    const std::string_view text = take_head(bytes, true, limits);
    if (complete) refusal = parser.parse_request(text, limits, head);
  }
};

struct Response : Parsed<ResponseHead> {
  explicit Response(std::string_view bytes, Method method = Method::kGet,
                    const HeadLimits& limits = {}) {
    const std::string_view text = take_head(bytes, false, limits);
    if (complete) refusal = parser.parse_response(text, method, limits, head);
  }
};

}  // namespace weir::http::test
