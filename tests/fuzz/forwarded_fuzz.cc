// Any text as an address or as what hops before us said: the client is who the nearest trusted hop
// saw, whatever a client put in front.
#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/check.h"
#include "http/forwarded.h"

namespace {

using namespace weir;
using namespace weir::http;

Address known(std::string_view text) {
  Address address;
  WEIR_CHECK(Address::parse(text, address));
  return address;
}

bool libc_parses(const std::string& text, uint8_t* out) {
  if (text.find('\0') != std::string::npos) return false;
  if (text.find(':') != std::string::npos) return inet_pton(AF_INET6, text.c_str(), out) == 1;
  std::memset(out, 0, 10);
  out[10] = out[11] = 0xff;
  return inet_pton(AF_INET, text.c_str(), out + 12) == 1;
}

void check_address(std::string_view text) {
  Address address;
  const bool parsed = Address::parse(text, address);
  if (text.empty() || text.front() != '[') {
    uint8_t bytes[16];
    WEIR_CHECK(parsed == libc_parses(std::string(text), bytes));
    WEIR_CHECK(!parsed || std::memcmp(bytes, address.bytes, sizeof bytes) == 0);
  }
  if (!parsed) return;
  char out[45];
  const std::string_view canonical(out, address.format(out));
  WEIR_CHECK(known(canonical) == address);
  AddressSet self;
  WEIR_CHECK(self.add(canonical));
  self.seal();
  WEIR_CHECK(self.contains(address));
}

void check_cidr(std::string_view text) {
  AddressSet set;
  if (!set.add(text)) return;
  set.seal();
  WEIR_CHECK(set.contains(known(text.substr(0, text.find('/')))));
}

void check_identity(std::string_view text) {
  BlockPool pool;
  Arena arena(pool);
  AddressSet trusted;
  WEIR_CHECK(trusted.add("10.0.0.0/8"));
  trusted.seal();
  const Address peer = known("10.0.0.1");
  const Address client = known("203.0.113.9");
  const std::string list = std::string(text) + ", 203.0.113.9, 10.0.0.2";
  const std::string elements = std::string(text) + ", for=203.0.113.9;proto=https, for=10.0.0.2";
  const struct {
    const char* name;
    std::string_view value;
  } rows[] = {{"X-Forwarded-For", list}, {"Forwarded", elements}};
  for (const auto& row : rows) {
    HeaderList headers(arena);
    headers.add(row.name, row.value);
    const ClientIdentity identity = identify_client(peer, headers, trusted);
    WEIR_CHECK(identity.peer_trusted && identity.client == client);
    WEIR_CHECK(identify_client(client, headers, trusted).client == client);

    HeaderList alone(arena);
    alone.add(row.name, text);
    alone.add("X-Forwarded-Proto", text);
    alone.add("X-Forwarded-Host", text);
    const ClientIdentity any = identify_client(peer, alone, trusted);
    const std::string_view proto = any.forwarded_proto;
    WEIR_CHECK(proto.empty() || proto == "http" || proto == "https");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_address(text);
  check_cidr(text);
  check_identity(text);
  return 0;
}
