#include "http/proxy_protocol.h"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"

namespace weir::http {
namespace {

using State = ProxyHeader::State;
using std::string_literals::operator""s;

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(int version_command, int family, const std::string& body, int length = -1) {
  const size_t said = length < 0 ? body.size() : static_cast<size_t>(length);
  return kSignature + static_cast<char>(version_command) + static_cast<char>(family) +
         static_cast<char>(said >> 8) + static_cast<char>(said & 0xff) + body;
}

const std::string kV4Body = "\xc0\x00\x02\x01\xc6\x33\x64\x02\xc3\x50\x01\xbb"s;
const std::string kV6Body =
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xc3\x50\x01\xbb"s;

std::string text(const Address& address) {
  char out[45];
  return {out, address.format(out)};
}

std::string ends_text(const ConnectionEnds& ends) {
  return text(ends.source) + " " + std::to_string(ends.source_port) + " " + text(ends.destination) +
         " " + std::to_string(ends.destination_port);
}

// The header at every length: partial until it is whole, and then the same with bytes behind it.
ProxyHeader parse_in_pieces(const std::string& header) {
  for (size_t length = 0; length < header.size(); ++length) {
    CAPTURE(length);
    CHECK(parse_proxy_header(std::string_view(header).substr(0, length)).state == State::kPartial);
  }
  const ProxyHeader parsed = parse_proxy_header(header);
  CHECK(parsed.state == State::kComplete);
  CHECK(parsed.size_bytes == header.size());
  const ProxyHeader with_rest = parse_proxy_header(header + "GET / HTTP/1.1\r\n");
  CHECK(with_rest.state == State::kComplete);
  CHECK(with_rest.size_bytes == header.size());
  CHECK(with_rest.has_ends == parsed.has_ends);
  return parsed;
}

// kBad, and never complete on the way there.
std::string reason_of(const std::string& bytes) {
  for (size_t length = 0; length < bytes.size(); ++length) {
    if (parse_proxy_header(std::string_view(bytes).substr(0, length)).state == State::kComplete) {
      return "complete after " + std::to_string(length);
    }
  }
  const ProxyHeader header = parse_proxy_header(bytes);
  return header.state == State::kBad ? header.reason : "not bad";
}

TEST_CASE("proxy protocol: headers that name a client, byte by byte") {
  struct Case {
    std::string header;
    std::string ends;
  };
  const std::vector<Case> cases = {
      {"PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n", "192.0.2.1 50000 198.51.100.2 443"},
      {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
       "255.255.255.255 65535 255.255.255.255 65535"},
      {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0 0 0.0.0.0 0"},
      {"PROXY TCP6 2001:db8::1 ::1 50000 443\r\n", "2001:db8::1 50000 ::1 443"},
      {"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 2\r\n", "192.0.2.1 1 192.0.2.2 2"},
      {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"},
      {v2(0x21, 0x11, kV4Body), "192.0.2.1 50000 198.51.100.2 443"},
      {v2(0x21, 0x21, kV6Body), "2001:db8::1 50000 2001:db8::2 443"},
      // TLVs behind the addresses are skipped, whatever is in them.
      {v2(0x21, 0x11, kV4Body + "\x04\x00\x02xx\xff\xff\xff"s), "192.0.2.1 50000 198.51.100.2 443"},
      {v2(0x21, 0x11, kV4Body + std::string(limits::kProxyHeaderBytes - 28, 'x')),
       "192.0.2.1 50000 198.51.100.2 443"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.header);
    const ProxyHeader header = parse_in_pieces(one.header);
    CHECK(header.has_ends);
    CHECK(ends_text(header.ends) == one.ends);
  }
}

TEST_CASE("proxy protocol: headers that name nobody") {
  const std::vector<std::string> cases = {
      "PROXY UNKNOWN\r\n",        "PROXY UNKNOWN ffff:ffff::1 what ever 0 99999\r\n",
      v2(0x20, 0x00, ""),         v2(0x20, 0x11, kV4Body),  // LOCAL: its addresses do not count
      v2(0x20, 0x77, "x"),                                  // nor does its family
      v2(0x21, 0x00, ""),                                   // unspecified
      v2(0x21, 0x00, "\x01\x02"),                           // with TLVs
      v2(0x21, 0x12, kV4Body),                              // a datagram's
      v2(0x21, 0x22, kV6Body),    v2(0x21, 0x31, std::string(216, 'p')),
  };
  for (const std::string& one : cases) {
    CAPTURE(one);
    CHECK_FALSE(parse_in_pieces(one).has_ends);
  }
}

TEST_CASE("proxy protocol: what is refused") {
  struct Case {
    std::string bytes;
    std::string reason;
  };
  const std::string line = "PROXY TCP4 192.0.2.1 198.51.100.2 ";
  const std::vector<Case> cases = {
      {"GET / HTTP/1.1\r\n", "no header"},
      {"\x16\x03\x01\x02\x00", "no header"},
      {"PROXX", "no header"},
      {"proxy TCP4", "no header"},
      {"PROXY\t", "no header"},
      {"\r\nGET", "no header"},
      {"\r\n\r\n\0\r\nQUIT\r"s, "no header"},
      {"PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "unknown family"},
      {"PROXY \r\n", "unknown family"},
      {"PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "unknown family"},
      {"PROXY unknown\r\n", "unknown family"},
      {"PROXY TCP4\r\n", "malformed line"},
      {line + "1\r\n", "malformed line"},
      {line + "1 2 3\r\n", "malformed line"},
      {line + "1 2 \r\n", "malformed line"},
      {line + "1  2\r\n", "malformed line"},
      {line + "01 2\r\n", "malformed line"},
      {line + "1 65536\r\n", "malformed line"},
      {line + "-1 2\r\n", "malformed line"},
      {line + "1 +2\r\n", "malformed line"},
      {line + "1 2\n", "malformed line"},
      {line + "1 2\rx", "malformed line"},
      {line + "1 2\r\r\n", "malformed line"},
      {"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", "malformed line"},
      {"PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n", "malformed line"},
      {"PROXY TCP4 ::1 ::1 1 2\r\n", "malformed line"},
      {"PROXY TCP6 192.0.2.1 192.0.2.1 1 2\r\n", "malformed line"},
      {"PROXY TCP6 [::1] [::1] 1 2\r\n", "malformed line"},
      {"PROXY TCP6 ::1%lo ::1 1 2\r\n", "malformed line"},
      {"PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n"s, "malformed line"},
      {"PROXY UNKNOWN " + std::string(93, 'x'), "line too long"},
      {"PROXY UNKNOWN " + std::string(92, 'x') + "\r\n", "line too long"},
      {v2(0x11, 0x11, kV4Body), "unknown version or command"},
      {v2(0x31, 0x11, kV4Body), "unknown version or command"},
      {v2(0x22, 0x11, kV4Body), "unknown version or command"},
      {v2(0x21, 0x41, kV4Body), "unknown family"},
      {v2(0x21, 0x13, kV4Body), "unknown family"},
      {v2(0x21, 0x11, kV4Body.substr(1)), "length too short for its family"},
      {v2(0x21, 0x21, kV4Body), "length too short for its family"},
      {v2(0x21, 0x31, kV6Body), "length too short for its family"},
      {v2(0x21, 0x11, "", 0), "length too short for its family"},
      {v2(0x21, 0x11, "", 65535), "header too long"},
      {v2(0x20, 0x00, "", static_cast<int>(limits::kProxyHeaderBytes) - 15), "header too long"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.bytes);
    CHECK(reason_of(one.bytes) == one.reason);
  }
}

TEST_CASE("proxy protocol: the first wrong byte of a signature is enough") {
  const std::string signatures[] = {"PROXY ", kSignature};
  for (const std::string& signature : signatures) {
    for (size_t at = 0; at < signature.size(); ++at) {
      std::string wrong = signature.substr(0, at + 1);
      wrong.back() = 'x';
      CHECK(parse_proxy_header(wrong).state == State::kBad);
    }
  }
}

TEST_CASE("proxy protocol: what is written is read back") {
  struct Case {
    const char* source;
    const char* destination;
    std::string v1;
    size_t v2_bytes;
  };
  const Case cases[] = {
      {"192.0.2.1", "198.51.100.2", "PROXY TCP4 192.0.2.1 198.51.100.2 50000 443\r\n", 28},
      {"2001:db8::1", "2001:db8::2", "PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n", 52},
      {"2001:db8::1", "192.0.2.1", "PROXY TCP6 2001:db8::1 ::ffff:c000:201 50000 443\r\n", 52},
      {"192.0.2.1", "2001:db8::1", "PROXY TCP6 ::ffff:c000:201 2001:db8::1 50000 443\r\n", 52},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
       "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 50000 443\r\n",
       52},
  };
  for (const Case& one : cases) {
    ConnectionEnds ends;
    REQUIRE(Address::parse(one.source, ends.source));
    REQUIRE(Address::parse(one.destination, ends.destination));
    ends.source_port = 50000;
    ends.destination_port = 443;
    char out[kProxyHeaderOutBytes];
    const std::string line(out, format_proxy_header(ProxyVersion::kV1, ends, out));
    CHECK(line == one.v1);
    CHECK(ends_text(parse_in_pieces(line).ends) == ends_text(ends));
    const std::string binary(out, format_proxy_header(ProxyVersion::kV2, ends, out));
    CHECK(binary.size() == one.v2_bytes);
    CHECK(ends_text(parse_in_pieces(binary).ends) == ends_text(ends));
  }
}

}  // namespace
}  // namespace weir::http
