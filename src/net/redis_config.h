// The Redis that instances of weir share, as it is configured. Immutable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "net/address.h"
#include "net/redis_state.h"
#include "net/tls_client.h"

namespace weir::net {

// A Lua script that calls run: by SCRIPT LOAD and EVALSHA alone, so that EVAL may be renamed away.
// Static; a connection loads all that its configuration names before it is used.
struct RedisScript {
  std::string_view text;
};

// Where Redis may be. Of several one is the primary, and the others are its replicas.
struct RedisServer {
  std::string address;  // as configured: "host:6379", "unix:/path"
  std::string host;     // that its certificate must name
  // What is known of it now; empty: nothing. Any thread.
  std::function<std::vector<SocketAddress>()> addresses;
};

struct RedisConfig {
  std::vector<RedisServer> servers;  // tried in this order
  std::string user;                  // empty: Redis's default user
  std::string password;              // empty: no AUTH
  uint32_t database = 0;
  uint64_t timeout_ms = 20;              // of one call
  std::shared_ptr<const TlsClient> tls;  // null: in the clear
  std::string key_prefix = "weir:";
  size_t reply_bytes = limits::kRedisReplyBytes;  // the largest that it is to give
  std::vector<const RedisScript*> scripts;
  // Of all but the timeout, secrets included: a connection goes on where it is the same. Never
  // shown.
  std::string identity;
  std::shared_ptr<RedisState> state;  // through reloads, of the same identity
};

}  // namespace weir::net
