#include <catch2/catch.hpp>

#include "http/forwarded.h"

#include <algorithm>
#include <string>

#include "base/arena.h"

using namespace weir;
using namespace weir::http;

namespace {

std::string canonical(std::string_view text) {
  Address address;
  if (!Address::parse(text, address)) return "refused";
  char out[45];
  return std::string(out, address.format(out));
}

Address address_of(std::string_view text) {
  Address address;
  REQUIRE(Address::parse(text, address));
  return address;
}

AddressSet set_of(std::initializer_list<const char*> blocks) {
  AddressSet set;
  for (const char* block : blocks) REQUIRE(set.add(block));
  set.seal();
  return set;
}

}  // namespace

TEST_CASE("addresses in and out", "[http][forwarded]") {
  const struct {
    const char* text;
    const char* canonical;
  } rows[] = {
      {"1.2.3.4", "1.2.3.4"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"[::1]", "::1"},
      {"1::", "1::"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"},
      {"0001:0010:0100:1000::", "1:10:100:1000::"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"::ffff:102:304", "1.2.3.4"},
      {"::1.2.3.4", "::102:304"},
      {"64:ff9b::1.2.3.4", "64:ff9b::102:304"},
      {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(canonical(row.text) == row.canonical);
    CHECK(canonical(canonical(row.text)) == row.canonical);
  }
}

TEST_CASE("what is no address", "[http][forwarded]") {
  const char* const bad[] = {
      "",
      " ",
      "1",
      "1.2.3",
      "1.2.3.4.5",
      "1.2.3.256",
      "01.2.3.4",
      "1.2.3.04",
      "1..3.4",
      "1.2.3.",
      ".1.2.3.4",
      "1.2.3.4 ",
      " 1.2.3.4",
      "0x1.2.3.4",
      "1.2.3.-4",
      "+1.2.3.4",
      "[1.2.3.4]",
      ":",
      ":::",
      "1:::2",
      "::1::",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1::2:3:4:5:6:7:8",
      "12345::",
      "g::",
      ":1",
      "1:",
      "::1%eth0",
      "[::1",
      "::1]",
      "[]",
      "[::]x",
      "1.2.3.4::",
      "::1.2.3",
      "::1.2.3.4.5",
      "1:2:3:4:5:6:7:1.2.3.4",
      "::1.2.3.4:1",
      "unknown",
  };
  for (const char* const text : bad) {
    INFO(text);
    CHECK(canonical(text) == "refused");
  }
  CHECK(address_of("::ffff:1.2.3.4") == address_of("1.2.3.4"));
}

TEST_CASE("address sets", "[http][forwarded]") {
  const AddressSet set =
      set_of({"10.0.0.0/8", "192.0.2.128/25", "::1", "fc00::/7", "203.0.113.7", "198.51.100.0/31"});
  for (const char* in :
       {"10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1", "192.0.2.128", "192.0.2.255", "::1",
        "fc00::1", "fdff::", "203.0.113.7", "198.51.100.1"}) {
    INFO(in);
    CHECK(set.contains(address_of(in)));
  }
  for (const char* out : {"11.0.0.0", "9.255.255.255", "192.0.2.127", "::2",
                          "::", "fe00::", "203.0.113.6", "198.51.100.2", "::10.0.0.1"}) {
    INFO(out);
    CHECK_FALSE(set.contains(address_of(out)));
  }
  CHECK(AddressSet().empty());
  const AddressSet all = set_of({"0.0.0.0/0"});
  CHECK_FALSE(all.empty());
  CHECK(all.contains(address_of("8.8.8.8")));
  CHECK_FALSE(all.contains(address_of("::1")));
  for (const char* bad : {"", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "10.0.0/8",
                          "::1/127", "fd00::/7", "fd00::/129", "10.0.0.0/-1", "/8", "localhost"}) {
    INFO(bad);
    CHECK_FALSE(AddressSet().add(bad));
  }
}

namespace {

struct Case {
  const char* peer;
  const char* fields;  // lines of "name: value"
  const char* client;
  bool trusted;
  const char* passed_on;
  const char* proto;
  const char* host;
};

const Case kCases[] = {
    // Nobody's word but the socket's.
    {"192.0.2.1", "", "192.0.2.1", false, "", "", ""},
    {"192.0.2.1",
     "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil\n"
     "Forwarded: for=7.7.7.7",
     "192.0.2.1", false, "", "", ""},
    {"10.0.0.1", "", "10.0.0.1", true, "", "", ""},
    // The right-most untrusted address.
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6", "6.6.6.6", true, "6.6.6.6", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 7.7.7.7", "7.7.7.7", true, "6.6.6.6, 7.7.7.7", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6,7.7.7.7,10.0.0.2 ,10.0.0.3", "7.7.7.7", true,
     "6.6.6.6,7.7.7.7,10.0.0.2 ,10.0.0.3", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 10.0.0.2, 10.0.0.3", "10.0.0.2", true, "10.0.0.2, 10.0.0.3", "",
     ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6\nx-forwarded-for: 7.7.7.7, 10.0.0.2", "7.7.7.7", true,
     "6.6.6.6, 7.7.7.7, 10.0.0.2", "", ""},
    {"::1", "X-Forwarded-For: 2001:db8::1", "2001:db8::1", true, "2001:db8::1", "", ""},
    // With ports.
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6:1234, [2001:db8::1]:80", "2001:db8::1", true,
     "6.6.6.6:1234, [2001:db8::1]:80", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6:1234, 10.0.0.2:5", "6.6.6.6", true,
     "6.6.6.6:1234, 10.0.0.2:5", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6:65536", "10.0.0.1", true, "6.6.6.6:65536", "", ""},
    // Words that are no address end the walk.
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, unknown", "10.0.0.1", true, "6.6.6.6, unknown", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, bad, 10.0.0.2", "10.0.0.2", true,
     "6.6.6.6, bad, 10.0.0.2", "", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6,, 10.0.0.2", "10.0.0.2", true, "6.6.6.6,, 10.0.0.2", "",
     ""},
    {"10.0.0.1", "X-Forwarded-For: ,", "10.0.0.1", true, ",", "", ""},
    {"10.0.0.1", "X-Forwarded-For: [", "10.0.0.1", true, "[", "", ""},
    {"10.0.0.1", "X-Forwarded-For: [:", "10.0.0.1", true, "[:", "", ""},
    {"10.0.0.1", "X-Forwarded-For: :", "10.0.0.1", true, ":", "", ""},
    // Scheme and host as the client's hop said.
    {"10.0.0.1",
     "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: HTTPS\n"
     "X-Forwarded-Host: Shop.example.com:8443",
     "6.6.6.6", true, "6.6.6.6", "https", "Shop.example.com:8443"},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6, 10.0.0.2\nX-Forwarded-Proto: https, http", "6.6.6.6",
     true, "6.6.6.6, 10.0.0.2", "https", ""},
    {"10.0.0.1", "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https, http", "6.6.6.6", true,
     "6.6.6.6", "http", ""},
    {"10.0.0.1", "X-Forwarded-Proto: https", "10.0.0.1", true, "", "https", ""},
    {"10.0.0.1", "X-Forwarded-Proto: ftp\nX-Forwarded-Host: a/b", "10.0.0.1", true, "", "", ""},
    // RFC 7239.
    {"10.0.0.1", "Forwarded: for=6.6.6.6", "6.6.6.6", true, "6.6.6.6", "", ""},
    {"10.0.0.1", "Forwarded: For=\"[2001:DB8::1]:4711\";proto=https;host=shop.example",
     "2001:db8::1", true, "2001:db8::1", "https", "shop.example"},
    {"10.0.0.1", "Forwarded: for=6.6.6.6;by=10.0.0.9, for=7.7.7.7, for=10.0.0.2", "7.7.7.7", true,
     "7.7.7.7", "", ""},
    {"10.0.0.1", "Forwarded: for=6.6.6.6;proto=https\nForwarded: for=10.0.0.2;proto=http",
     "6.6.6.6", true, "6.6.6.6", "https", ""},
    {"10.0.0.1", "Forwarded: for=\"_x, for=6.6.6.6", "6.6.6.6", true, "6.6.6.6", "", ""},
    {"10.0.0.1", "Forwarded: for=\"a\\\", for=6.6.6.6, for=10.0.0.2", "6.6.6.6", true, "6.6.6.6",
     "", ""},
    {"10.0.0.1", "Forwarded: for=unknown", "10.0.0.1", true, "", "", ""},
    {"10.0.0.1", "Forwarded: for=_hidden, for=10.0.0.2", "10.0.0.2", true, "10.0.0.2", "", ""},
    {"10.0.0.1", "Forwarded: proto=https", "10.0.0.1", true, "", "", ""},
    {"10.0.0.1", "Forwarded: ;;=;for", "10.0.0.1", true, "", "", ""},
    // Both: the list that every hop writes wins.
    {"10.0.0.1", "Forwarded: for=6.6.6.6;proto=https\nX-Forwarded-For: 7.7.7.7", "7.7.7.7", true,
     "7.7.7.7", "", ""},
};

}  // namespace

TEST_CASE("who the client is", "[http][forwarded]") {
  const AddressSet trusted = set_of({"10.0.0.0/8", "::1"});
  for (const Case& row : kCases) {
    CAPTURE(row.peer, row.fields);
    BlockPool pool;
    Arena arena(pool);
    HeaderList headers(arena);
    std::string_view lines = row.fields;
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      const size_t colon = line.find(": ");
      headers.add(line.substr(0, colon), line.substr(colon + 2));
      lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    }
    const ClientIdentity identity = identify_client(address_of(row.peer), headers, trusted);
    CHECK(identity.client == address_of(row.client));
    CHECK(identity.peer_trusted == row.trusted);
    CHECK(identity.forwarded_for == row.passed_on);
    CHECK(identity.forwarded_proto == row.proto);
    CHECK(identity.forwarded_host == row.host);
  }
}
