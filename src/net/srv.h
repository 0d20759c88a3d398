// DNS SRV records (RFC 2782): where a service is to be found.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weir::net {

struct SrvRecord {
  uint16_t priority = 0;  // the lowest is preferred
  std::string target;     // a host name in small letters
  uint16_t port = 0;
  uint16_t weight = 0;

  auto operator<=>(const SrvRecord&) const = default;
};

// What was learnt of one name. Value.
struct SrvAnswer {
  std::vector<SrvRecord> records;  // sorted, each once
  uint64_t ttl_ms = 0;             // the smallest of the answer's records
  // Why there are no records; empty with no records: the service says that it is not offered
  // (target ".").
  std::string error;
};

// Reads a whole DNS message of a name server, which may hold anything. Records whose target is no
// host name, or whose port is 0, are left out. Its 64 KiB hold less than 3,600 records, far below
// limits::kMembersMax.
SrvAnswer parse_srv_answer(std::span<const uint8_t> message);

}  // namespace weir::net
