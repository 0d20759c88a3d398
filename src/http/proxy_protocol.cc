#include "http/proxy_protocol.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "base/strings.h"

namespace weir::http {

namespace {

using State = ProxyHeader::State;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kLine1Bytes = 107;  // with CR LF
constexpr size_t kFixed2Bytes = 16;  // signature, version and command, family, length
constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

ProxyHeader bad(const char* reason) {
  ProxyHeader header;
  header.state = State::kBad;
  header.reason = reason;
  return header;
}

ProxyHeader complete(size_t size_bytes) {
  ProxyHeader header;
  header.state = State::kComplete;
  header.size_bytes = size_bytes;
  return header;
}

bool is_prefix(std::string_view bytes, std::string_view of) {
  const size_t common = std::min(bytes.size(), of.size());
  return bytes.substr(0, common) == of.substr(0, common);
}

// ---- version 1: "PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n" ----

// Up to the next single space, or to the end.
std::string_view take_word(std::string_view& rest) {
  const size_t space = std::min(rest.find(' '), rest.size());
  const std::string_view word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

bool parse_address1(std::string_view text, bool v4, Address& out) {
  const bool looks_v4 = text.find(':') == std::string_view::npos;
  return looks_v4 == v4 && !text.empty() && text.front() != '[' && Address::parse(text, out);
}

bool parse_port1(std::string_view text, uint16_t& out) {
  uint64_t port = 0;
  const bool leading_zero = text.size() > 1 && text.front() == '0';
  if (leading_zero || text.size() > 5 || !parse_u64(text, port) || port > 65535) return false;
  out = static_cast<uint16_t>(port);
  return true;
}

bool parse_line1(std::string_view rest, bool v4, ConnectionEnds& ends) {
  if (std::count(rest.begin(), rest.end(), ' ') != 3) return false;
  return parse_address1(take_word(rest), v4, ends.source) &&
         parse_address1(take_word(rest), v4, ends.destination) &&
         parse_port1(take_word(rest), ends.source_port) &&
         parse_port1(take_word(rest), ends.destination_port);
}

ProxyHeader parse1(std::string_view bytes) {
  const std::string_view window = bytes.substr(0, kLine1Bytes);
  const size_t lf = window.find('\n');
  const size_t cr = window.find('\r');
  if (lf == std::string_view::npos) {
    const bool lone_cr = cr != std::string_view::npos && cr + 1 < window.size();
    if (lone_cr) return bad("malformed line");
    return window.size() < kLine1Bytes ? ProxyHeader() : bad("line too long");
  }
  if (cr == std::string_view::npos || cr + 1 != lf) return bad("malformed line");
  std::string_view rest = window.substr(kSignature1.size(), cr - kSignature1.size());
  ProxyHeader header = complete(lf + 1);
  const std::string_view family = take_word(rest);
  if (family == "UNKNOWN") return header;  // whatever follows it
  if (family != "TCP4" && family != "TCP6") return bad("unknown family");
  header.has_ends = parse_line1(rest, family == "TCP4", header.ends);
  return header.has_ends ? header : bad("malformed line");
}

// ---- version 2 ----

uint16_t u16(const char* at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(at[0]) << 8 | static_cast<uint8_t>(at[1]));
}

Address address_v4(const char* at) {
  Address address;
  address.v4 = true;
  std::memcpy(address.bytes, kMappedPrefix, sizeof(kMappedPrefix));
  std::memcpy(address.bytes + sizeof(kMappedPrefix), at, 4);
  return address;
}

Address address_v6(const char* at) {
  Address address;
  std::memcpy(address.bytes, at, sizeof(address.bytes));
  address.v4 = std::memcmp(address.bytes, kMappedPrefix, sizeof(kMappedPrefix)) == 0;
  return address;
}

// `family`: its high half the kind of address (0 unspecified, 1 IPv4, 2 IPv6, 3 unix), its low half
// the transport (0 unspecified, 1 stream, 2 datagram).
ProxyHeader parse2_body(std::string_view body, uint8_t family) {
  constexpr size_t kAddressBytes[] = {0, 12, 36, 216};
  const unsigned kind = family >> 4;
  const unsigned transport = family & 0xf;
  if (kind > 3 || transport > 2) return bad("unknown family");
  if (body.size() < kAddressBytes[kind]) return bad("length too short for its family");
  ProxyHeader header = complete(kFixed2Bytes + body.size());
  const char* at = body.data();
  header.has_ends = (kind == 1 || kind == 2) && transport == 1;
  if (!header.has_ends) return header;
  const size_t each = kind == 1 ? 4 : 16;
  const auto read = kind == 1 ? address_v4 : address_v6;
  header.ends = {read(at), read(at + each), u16(at + 2 * each), u16(at + 2 * each + 2)};
  return header;
}

ProxyHeader parse2(std::string_view bytes) {
  const size_t signature = kSignature2.size();
  if (bytes.size() <= signature) return {};
  const auto version_command = static_cast<uint8_t>(bytes[signature]);
  const unsigned command = version_command & 0xf;
  if (version_command >> 4 != 2 || command > 1) return bad("unknown version or command");
  if (bytes.size() < kFixed2Bytes) return {};
  const size_t length = u16(bytes.data() + signature + 2);
  const size_t whole = kFixed2Bytes + length;
  if (whole > limits::kProxyHeaderBytes) return bad("header too long");
  if (bytes.size() < whole) return {};
  if (command == 0) return complete(whole);  // LOCAL: the balancer's own, a health check
  return parse2_body(bytes.substr(kFixed2Bytes, length),
                     static_cast<uint8_t>(bytes[signature + 1]));
}

size_t format1(const ConnectionEnds& ends, bool v4, char* out) {
  char* at = out;
  const auto text = [&](std::string_view piece) { at += piece.copy(at, piece.size()); };
  const auto address = [&](Address one) {
    one.v4 = v4;
    at += one.format(at);
    *at++ = ' ';
  };
  text(v4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  address(ends.source);
  address(ends.destination);
  at += format_u64(ends.source_port, at);
  *at++ = ' ';
  at += format_u64(ends.destination_port, at);
  text("\r\n");
  return static_cast<size_t>(at - out);
}

size_t format2(const ConnectionEnds& ends, bool v4, char* out) {
  char* at = out + kSignature2.copy(out, kSignature2.size());
  const auto number = [&](uint16_t value) {
    *at++ = static_cast<char>(value >> 8);
    *at++ = static_cast<char>(value & 0xff);
  };
  const size_t skipped = v4 ? sizeof(kMappedPrefix) : 0;
  const size_t each = sizeof(Address::bytes) - skipped;
  const auto address = [&](const Address& one) {
    std::memcpy(at, one.bytes + skipped, each);
    at += each;
  };
  *at++ = 0x21;  // version 2, PROXY
  *at++ = v4 ? 0x11 : 0x21;
  number(static_cast<uint16_t>(2 * each + 4));
  address(ends.source);
  address(ends.destination);
  number(ends.source_port);
  number(ends.destination_port);
  return static_cast<size_t>(at - out);
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (is_prefix(bytes, kSignature2)) return parse2(bytes);
  if (!is_prefix(bytes, kSignature1)) return bad("no header");
  return bytes.size() <= kSignature1.size() ? ProxyHeader() : parse1(bytes);
}

size_t format_proxy_header(ProxyVersion version, const ConnectionEnds& ends, char* out) {
  const bool v4 = ends.source.v4 && ends.destination.v4;
  return version == ProxyVersion::kV1 ? format1(ends, v4, out) : format2(ends, v4, out);
}

}  // namespace weir::http
