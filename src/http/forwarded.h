// Who the client is, behind trusted proxies: X-Forwarded-For and Forwarded (RFC 7239) as lists of
// addresses, read from the right, believed only as far as trusted hops wrote them (HD-16..20, T6).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/headers.h"

namespace weir::http {

// An IPv4 or IPv6 address in one form (v4 as v4-mapped), without port. Value type.
struct Address {
  uint8_t bytes[16] = {};
  bool v4 = false;
  static bool parse(std::string_view text, Address& out);  // "1.2.3.4", "::1", "[::1]"; strict
  // Writes the canonical text (at most 45 bytes); returns its length.
  size_t format(char* out) const;
  friend bool operator==(const Address&, const Address&) = default;
};

// A set of CIDR blocks. Immutable after construction; any thread.
class AddressSet {
 public:
  // "10.0.0.0/8", "::1", "fd00::/8". False on bad text or host bits beyond the prefix length.
  bool add(std::string_view cidr);
  bool contains(const Address& address) const;
  bool empty() const { return blocks_.empty(); }

 private:
  struct BlockOfAddresses {
    Address base;
    uint8_t bits;  // of 128
  };
  std::vector<BlockOfAddresses> blocks_;
};

struct ClientIdentity {
  Address client;             // right-most untrusted address, or the peer
  bool peer_trusted = false;  // then the lists below may be passed on, with ours appended
  std::string_view
      forwarded_for;  // what to put before our own entry of X-Forwarded-For (empty if not trusted)
  std::string_view forwarded_proto;  // believed proto ("http"|"https"), else empty
  std::string_view forwarded_host;   // believed host, else empty
};

// `peer` is the socket's address (unix sockets: loopback). Values that are not addresses
// ("unknown",
// "_obf", garbage) end the walk: the last good address is the client. Never allocates beyond the
// headers' arena (joining several X-Forwarded-For lines).
ClientIdentity identify_client(const Address& peer, const HeaderList& headers,
                               const AddressSet& trusted);

}  // namespace weir::http
