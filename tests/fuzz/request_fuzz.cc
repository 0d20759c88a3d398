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

bool is_new(const RequestHead& head) {
  return head.method == Method::kGet && head.version == Version::kHttp11 &&
         head.method_text.empty() && head.target.empty() && head.headers.size() == 0;
}

void check_same(const RequestHead& a, const RequestHead& b) {
  WEIR_CHECK(a.method == b.method && a.version == b.version);
  WEIR_CHECK(a.method_text == b.method_text && a.target == b.target);
  WEIR_CHECK(a.authority == b.authority && a.host == b.host);
  WEIR_CHECK(a.path == b.path && a.query == b.query);
  WEIR_CHECK(a.framing == b.framing && a.content_length == b.content_length);
  WEIR_CHECK(a.keep_alive == b.keep_alive && a.expect_continue == b.expect_continue);
  WEIR_CHECK(a.upgrade == b.upgrade && a.headers.size() == b.headers.size());
  for (size_t i = 0; i < a.headers.size(); ++i) {
    const Header& x = a.headers.begin()[i];
    const Header& y = b.headers.begin()[i];
    WEIR_CHECK(x.name == y.name && x.value == y.value && x.id == y.id && x.line() == y.line());
  }
}

// What is taken in one pass is what scan_head() and parse_request() make of it (`head`; null where
// they found none), and stays when the bytes do not. Returns what was taken.
size_t check_plain(std::string_view bytes, const HeadScan& scan, const Refusal& refusal,
                   const RequestHead* head, const HeadLimits& limits) {
  std::string read(bytes);
  Arena arena(test::pool());
  RequestHead plain(arena);
  H1Parser parser;
  size_t taken = 0;
  const Refusal said = parser.parse_plain_request(read, limits, plain, taken);
  read.assign(read.size(), '#');
  WEIR_CHECK(taken > 0 || (!said && is_new(plain)));
  if (taken == 0) return 0;
  WEIR_CHECK(head != nullptr && scan.begin == 0 && scan.end == taken);
  WEIR_CHECK(std::string_view(said.reason) == refusal.reason);
  if (!said) check_same(plain, *head);
  return taken;
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
  const size_t taken = check_plain(bytes.substr(0, scan.end), scan, refusal, &head, limits);
  if (!head.path.empty() && is_plain_start(head)) {
    // What came as an absolute URL has a plain target only by now.
    const bool plain = fuzz::check_split(text, true, limits) &&
                       text.substr(head.method_text.size() + 1).starts_with('/');
    WEIR_CHECK(!plain || scan.begin > 0 || taken == scan.end);
  }
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
