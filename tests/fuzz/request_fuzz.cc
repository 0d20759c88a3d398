// Any bytes from a client: what is accepted is clean, reads alike however it is cut, and goes on as
// a request that an equally strict backend reads in the same way.
#include "h1_fuzz.h"

namespace {

using namespace weir;
using namespace weir::http;

void check_accepted(const RequestHead& head) {
  WEIR_CHECK(is_token(head.method_text));
  WEIR_CHECK(head.method == parse_method(head.method_text));
  WEIR_CHECK(is_request_target(head.target));
  WEIR_CHECK(head.framing != Framing::kUntilClose);
  WEIR_CHECK(head.authority.empty() ? head.version == Version::kHttp10
                                    : is_valid_host(head.authority));
  for (const char c : head.host) WEIR_CHECK(c < 'A' || c > 'Z');
  WEIR_CHECK(head.path.empty() || head.path.front() == '/' || head.path == "*");
  if (!head.upgrade.empty()) {
    WEIR_CHECK(head.method == Method::kGet && head.version == Version::kHttp11);
    WEIR_CHECK(head.framing == Framing::kNone || head.content_length == 0);
  }
  fuzz::check_fields(head.headers);
}

void check_written(const RequestHead& head, const HeadLimits& limits) {
  Buffer out(test::pool());
  const ExtraField extras[] = {{"Via", "1.1 weir"}};
  const std::string_view host = head.authority.empty() ? "none" : head.authority;
  WEIR_CHECK(write_request_head(head, host, 0, extras, 1, head.upgrade, out) == 0);
  const std::string text = fuzz::one_head(out, true, limits);
  Arena arena(test::pool());
  RequestHead again(arena);
  H1Parser parser;
  WEIR_CHECK(!parser.parse_request(text, limits, again));
  WEIR_CHECK(again.method_text == head.method_text && again.target == head.target);
  WEIR_CHECK(again.authority == host);
  WEIR_CHECK(again.framing == head.framing && again.content_length == head.content_length);
  WEIR_CHECK(again.upgrade == head.upgrade);
  WEIR_CHECK(again.keep_alive && !again.expect_continue);
  for (const Header& header : again.headers) {
    const bool own =
        header.id == HeaderId::kTransferEncoding ||
        (!head.upgrade.empty() &&
         (bit(header.id) & (bit(HeaderId::kConnection) | bit(HeaderId::kUpgrade))) != 0);
    WEIR_CHECK(own || !is_hop_by_hop(header));
  }
}

// What is taken in one pass is what scan_head() and parse_request() make of it.
void check_plain(std::string_view bytes, const HeadScan& scan, const Refusal& refusal,
                 const RequestHead* head, const HeadLimits& limits) {
  Arena arena(test::pool());
  RequestHead plain(arena);
  H1Parser parser;
  size_t taken = 0;
  const Refusal said = parser.parse_plain_request(bytes, limits, plain, taken);
  if (taken == 0) return;
  WEIR_CHECK(head != nullptr && scan.begin == 0 && scan.end == taken);
  WEIR_CHECK(std::string_view(said.reason) == refusal.reason);
  if (said) return;
  WEIR_CHECK(plain.method_text == head->method_text && plain.target == head->target);
  WEIR_CHECK(plain.authority == head->authority && plain.host == head->host);
  WEIR_CHECK(plain.path == head->path && plain.query == head->query);
  WEIR_CHECK(plain.framing == head->framing && plain.content_length == head->content_length);
  WEIR_CHECK(plain.keep_alive == head->keep_alive && plain.upgrade == head->upgrade);
  WEIR_CHECK(plain.headers.size() == head->headers.size());
  for (size_t i = 0; i < plain.headers.size(); ++i) {
    const Header& a = plain.headers.begin()[i];
    const Header& b = head->headers.begin()[i];
    WEIR_CHECK(a.name == b.name && a.value == b.value && a.id == b.id && a.line() == b.line());
  }
}

// One message off the front of `bytes`; false when nothing can follow it.
bool take_request(std::string_view& bytes, const HeadLimits& limits) {
  const HeadScan scan = fuzz::scan_both_ways(bytes, true, limits);
  if (scan.refusal || scan.end == 0) {
    check_plain(bytes, scan, scan.refusal, nullptr, limits);
    return false;
  }
  Arena arena(test::pool());
  RequestHead head(arena);
  H1Parser parser;
  const std::string_view text = arena.copy(bytes.substr(scan.begin, scan.end - scan.begin));
  const Refusal refusal = parser.parse_request(text, limits, head);
  check_plain(bytes, scan, refusal, &head, limits);
  check_plain(bytes.substr(0, scan.end), scan, refusal, &head, limits);
  if (!head.path.empty() && is_plain_start(head)) fuzz::check_split(text, true, limits);
  if (refusal) return false;
  check_accepted(head);
  check_written(head, fuzz::roomier(limits));
  bytes.remove_prefix(scan.end);
  const fuzz::BodyRead body = fuzz::body_both_ways(parser, bytes);
  bytes.remove_prefix(body.taken);
  return body.last == H1Parser::Body::kDone;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const HeadLimits& limits : {HeadLimits(), fuzz::small_limits()}) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (int i = 0; i < 8 && take_request(bytes, limits); ++i) {
    }
  }
  return 0;
}
