#include "http/h2_writer.h"

#include "base/strings.h"
#include "http/rules.h"

namespace weir::http {
namespace {

constexpr uint64_t kNeverCopied = kHopByHopMask | bit(HeaderId::kContentLength);
constexpr uint64_t kNeverCopiedInRequest =
    kNeverCopied | bit(HeaderId::kHost) | bit(HeaderId::kExpect);

size_t add(std::string_view name, std::string_view value, H2Session& out, bool indexed = true) {
  out.add_field(name, value, indexed);
  return name.size() + value.size();
}

// A value that comes once: it would push out of the table what comes again.
bool is_unique(const Header& header) { return iequals(header.name, "x-request-id"); }

// Between HTTP/1.1 endpoints only: over HTTP/2 a key and its proof say nothing (RFC 8441 5).
bool is_websocket_key(const Header& header) {
  return (header.name.size() == 17 && iequals(header.name, "sec-websocket-key")) ||
         (header.name.size() == 20 && iequals(header.name, "sec-websocket-accept"));
}

size_t add_fields(const HeaderList& headers, uint64_t left_out, H2Session& out) {
  size_t bytes = 0;
  for (const Header& header : headers) {
    if ((bit(header.id) & left_out) != 0) continue;
    if (!is_sound(header) || is_websocket_key(header)) continue;
    bytes += add(header.name, header.value, out, !header.never_indexed && !is_unique(header));
  }
  return bytes;
}

size_t add_number(std::string_view name, uint64_t value, Arena& arena, H2Session& out) {
  char digits[20];
  return add(name, arena.copy({digits, format_u64(value, digits)}), out);
}

}  // namespace

size_t add_h2_request(const RequestHead& head, std::string_view scheme, std::string_view host,
                      uint64_t skip_mask, const ExtraField* extras, size_t extras_count,
                      H2Session& out) {
  const bool tunnel = !head.upgrade.empty();
  size_t bytes = add(":method", tunnel ? "CONNECT" : head.method_text, out);
  bytes += add(":scheme", scheme, out);
  bytes += add(":authority", host, out);
  bytes += add(":path", head.target, out);
  if (tunnel) bytes += add(":protocol", head.upgrade, out);
  bytes += add_fields(head.headers, kNeverCopiedInRequest | skip_mask, out);
  for (size_t i = 0; i < extras_count; ++i) {
    if (is_field_value(extras[i].value)) bytes += add(extras[i].name, extras[i].value, out);
  }
  if (head.framing == Framing::kLength) {
    bytes += add_number("content-length", head.content_length, head.headers.arena(), out);
  }
  if (wants_trailers(head.headers)) bytes += add("te", "trailers", out);
  return bytes;
}

size_t add_h2_response(const ResponseHead& head, bool tunnel, const ResponseFraming& framing,
                       std::string_view date, H2Session& out) {
  Arena& arena = head.headers.arena();
  constexpr int kTunnelStatus = 200;
  const int status = tunnel ? kTunnelStatus : head.status;
  size_t bytes = add_number(":status", static_cast<uint64_t>(status), arena, out);
  const uint64_t kept = framing.keep_content_length ? bit(HeaderId::kContentLength) : 0;
  bytes += add_fields(head.headers, kNeverCopied & ~kept, out);
  if (!date.empty() && head.headers.find(HeaderId::kDate) == nullptr) {
    bytes += add("date", date, out);
  }
  if (framing.framing == Framing::kLength) {
    bytes += add_number("content-length", framing.content_length, arena, out);
  }
  return bytes;
}

size_t add_h2_trailers(const HeaderList* trailers, H2Session& out) {
  return trailers == nullptr ? 0 : add_fields(*trailers, kNeverCopied, out);
}

}  // namespace weir::http
