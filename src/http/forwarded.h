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

// A set of CIDR blocks: a radix tree over the bytes of addresses, paths without a fork skipped, so
// that a look-up takes at most four steps for IPv4, however many blocks there are. Immutable once
// sealed; any thread.
class AddressSet {
 public:
  // "10.0.0.0/8", "::1", "fd00::/8". False on bad text or host bits beyond the prefix length.
  // REQUIRES: not sealed.
  bool add(std::string_view cidr);
  // Once, after the last add(). What other blocks cover is dropped.
  void seal();
  // REQUIRES: sealed, or empty.
  bool contains(const Address& address) const;
  bool empty() const { return !all_ && nodes_.empty() && blocks_.empty(); }
  size_t memory_bytes() const { return nodes_.size() * sizeof(Node); }

 private:
  struct BlockOfAddresses {
    Address base;
    uint8_t bits;  // of 128
  };
  struct Node {
    uint64_t whole[4] = {};  // bit n: all addresses with the value n in byte `at` are in the set
    uint64_t below[4] = {};  // bit n: a node further down tells
    uint32_t first = 0;      // of those nodes, which stand in the order of their values
    uint8_t from = 0;        // bytes [from, at) have but one value below this node:
    uint8_t at = 0;
    uint8_t path[16] = {};  // theirs
  };
  void build(size_t node, size_t begin, size_t end, uint8_t from);

  bool all_ = false;                      // a block of no bits
  std::vector<BlockOfAddresses> blocks_;  // until sealed
  std::vector<Node> nodes_;               // the first is the root
};

struct ClientIdentity {
  Address client;             // right-most untrusted address, or the peer
  bool peer_trusted = false;  // then the lists below may be passed on, with ours appended
  std::string_view
      forwarded_for;  // what to put before our own entry of X-Forwarded-For (empty if not trusted)
  std::string_view forwarded_proto;  // believed proto ("http"|"https"), else empty
  std::string_view forwarded_host;   // believed host, else empty
  // Forwarded came and may be passed on, too: its quotes are closed, no element repeats itself, and
  // beside X-Forwarded-For it says the same.
  bool forwarded_believed = false;
};

// `peer` is the socket's address (unix sockets: loopback). Values that are not addresses
// ("unknown",
// "_obf", garbage) end the walk: the last good address is the client. Never allocates beyond the
// headers' arena (joining several X-Forwarded-For lines).
ClientIdentity identify_client(const Address& peer, const HeaderList& headers,
                               const AddressSet& trusted);

}  // namespace weir::http
