// Any bytes from a backend, in answer to a method that the first byte chooses: what is accepted is
// clean, reads alike however it is cut, and goes on as an answer of the same meaning.
#include "h1_fuzz.h"

namespace {

using namespace weir;
using namespace weir::http;

void check_accepted(const ResponseHead& head, Method method) {
  WEIR_CHECK(head.status >= 100 && head.status <= 599);
  WEIR_CHECK(is_field_value(head.reason));
  const bool bodiless =
      method == Method::kHead || head.status < 200 || head.status == 204 || head.status == 304;
  WEIR_CHECK(bodiless == (head.framing == Framing::kNone));
  WEIR_CHECK(head.framing != Framing::kUntilClose || !head.keep_alive);
  WEIR_CHECK(head.upgrade.empty() || head.status == 101);
  fuzz::check_fields(head.headers);
}

void check_written(const ResponseHead& head, Method method, const HeadLimits& limits) {
  Buffer out(test::pool());
  const ResponseFraming framing{head.framing, head.content_length, head.framing == Framing::kNone,
                                !head.keep_alive, false};
  const ExtraField extras[] = {{"Via", "1.1 weir"}};
  WEIR_CHECK(write_response_head(head, framing, "Sun, 06 Nov 1994 08:49:37 GMT", extras, 1,
                                 head.upgrade, out) == 0);
  const std::string text = fuzz::one_head(out, false, limits);
  Arena arena(test::pool());
  ResponseHead again(arena);
  H1Parser parser;
  WEIR_CHECK(!parser.parse_response(text, method, limits, again));
  WEIR_CHECK(again.status == head.status);
  WEIR_CHECK(again.framing == head.framing && again.content_length == head.content_length);
  WEIR_CHECK(again.upgrade == head.upgrade);
  WEIR_CHECK(again.headers.find(HeaderId::kDate) != nullptr);
}

// Writes the body anew as the relay does towards an HTTP/1.1 client and reads it back.
void check_rechunked(const fuzz::BodyRead& body) {
  std::string text;
  char size[18];
  if (!body.body.empty()) {
    text.append(size, format_chunk_size(body.body.size(), size));
    text += body.body + "\r\n";
  }
  Buffer last(test::pool());
  write_last_chunk(nullptr, last);
  text += test::text_of(last);
  test::Request request("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  const fuzz::BodyRead again = fuzz::body_both_ways(request.parser, text);
  WEIR_CHECK(again.last == H1Parser::Body::kDone && again.body == body.body);
  WEIR_CHECK(again.taken == text.size());
}

bool take_response(std::string_view& bytes, Method method, const HeadLimits& limits) {
  const HeadScan scan = fuzz::scan_both_ways(bytes, false, limits);
  if (scan.refusal || scan.end == 0) return false;
  Arena arena(test::pool());
  ResponseHead head(arena);
  H1Parser parser;
  const std::string_view text = arena.copy(bytes.substr(0, scan.end));
  const Refusal refusal = parser.parse_response(text, method, limits, head);
  if (head.status != 0) fuzz::check_split(text, false, limits);
  if (refusal) return false;
  check_accepted(head, method);
  check_written(head, method, fuzz::roomier(limits));
  bytes.remove_prefix(scan.end);
  const fuzz::BodyRead body = fuzz::body_both_ways(parser, bytes);
  check_rechunked(body);
  bytes.remove_prefix(body.taken);
  return body.last == H1Parser::Body::kDone && head.keep_alive && head.status != 101;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Method method = static_cast<Method>(data[0] % (static_cast<unsigned>(Method::kOther) + 1));
  for (const HeadLimits& limits : {HeadLimits(), fuzz::small_limits()}) {
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    for (int i = 0; i < 8 && take_response(bytes, method, limits); ++i) {
    }
  }
  return 0;
}
