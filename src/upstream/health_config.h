// What a configuration asks of active checks and outlier detection, and what checks have found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weir::upstream {

enum class CheckType : uint8_t {
  kHttp,  // a GET whose answer has a status of `statuses`, and `body` in it
  kTcp,   // a connection can be made, TLS included where the upstream has it
  kGrpc,  // grpc.health.v1.Health/Check says SERVING
};

struct StatusRange {
  int min = 200;
  int max = 399;
  bool operator==(const StatusRange&) const = default;
};

struct CheckConfig {
  CheckType type = CheckType::kHttp;
  std::string path = "/";
  std::string host;     // of the Host field; empty: the server's address
  std::string sni;      // over TLS; empty: as requests have it
  std::string body;     // must be part of the answer; empty: anything will do
  std::string service;  // kGrpc; empty: the server as a whole
  std::vector<StatusRange> statuses = {{}};
  uint64_t interval_ms = 5'000;
  uint64_t timeout_ms = 2'000;
  uint64_t degraded_over_ms = 0;  // 0: never
  uint32_t healthy_after = 2;
  uint32_t unhealthy_after = 3;
  bool operator==(const CheckConfig&) const = default;
};

struct OutlierConfig {
  uint64_t window_ms = 10'000;
  double error_rate = 0.5;  // 0: errors do not matter
  uint32_t min_requests = 20;
  uint64_t eject_ms = 30'000;
  double max_ejected = 0.5;  // of the upstream's servers without backups
  uint64_t latency_ms = 0;   // 0: latency does not matter
  bool operator==(const OutlierConfig&) const = default;
};

struct CheckReport {
  uint64_t checked_unix_ms = 0;  // 0: not yet
  uint64_t latency_us = 0;       // of the last check that passed
  std::string reason;            // why it is down or degraded; empty when it is well
};

}  // namespace weir::upstream
