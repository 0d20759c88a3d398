// Clients that stay with one server: a cookie names it by an id that tells nothing of it, with the
// time, and a tag that only weir can make.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/headers.h"
#include "net/tls_mac.h"

namespace weir::upstream {

struct Server;

// Whom a client is bound to.
struct Bond {
  static constexpr uint32_t kNobody = UINT32_MAX;
  uint32_t server = kNobody;  // of Cluster::servers
  bool renew = true;          // the next answer is to bring a cookie, whoever gives it
};

// Immutable, part of a Cluster. Any thread.
class Sticky {
 public:
  // `secret`: shared by all instances that are to know each other's cookies; empty: this process's
  // own. A cookie of another upstream is not valid for this one. `servers`: the cluster's.
  Sticky(std::string cookie, uint64_t ttl_s, std::string_view secret, std::string_view upstream,
         const std::vector<Server>& servers);

  // `now_s`: since 1970. Of several cookies the first few are looked at; forged, expired and
  // unknown ones are none.
  Bond read(const http::HeaderList& request, uint64_t now_s) const;

  // The cookie's value for a server.
  static constexpr size_t kValueBytes = 56;
  std::string_view write(const Server& server, uint64_t now_s, char (&out)[kValueBytes]) const;

  const std::string& cookie() const { return cookie_; }
  uint64_t ttl_s() const { return ttl_s_; }

 private:
  Bond read_value(std::string_view value, uint64_t now_s) const;
  uint64_t id_of(std::string_view address) const;

  const std::string cookie_;
  const uint64_t ttl_s_;
  const net::MacKey key_;
  const net::MacKey id_key_;
  std::vector<std::pair<uint64_t, uint32_t>> servers_;  // id and index, in order
};

}  // namespace weir::upstream
