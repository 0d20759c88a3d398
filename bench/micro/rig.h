// A worker of weir's between two sockets that are played (fake_kernel.h): what a scenario is
// measured on.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/log_writer.h"
#include "proxy/metrics.h"
#include "proxy/snapshot.h"

namespace weir::proxy {
class ProxyWorker;
}

namespace weir::micro {

struct Scenario {
  const char* name;
  const char* path;
  bool proxied;
  uint32_t sites = 1;            // of ten routes each where there are many
  const char* more_fields = "";  // of the request
  uint32_t keys = 0;             // different sessions; 0: always the same one
  bool kept = false;             // the first answer of the server is, and given from then on
};

// What workers share. Outlives them.
struct World {
  explicit World(const Scenario& of);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Scenario& scenario;
  const int origin;  // where servers listen
  const std::shared_ptr<const proxy::Snapshot> snapshot;
  const std::unique_ptr<proxy::LogWriter> log;
};

// A worker on this thread, and the two ends of the world around it, which a first request over
// real sockets has connected. Made one after the other.
class Bench {
 public:
  Bench(World& world, uint32_t worker);
  ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // From now on this thread plays its sockets, and no other's. Warms up.
  void play();
  // Out of line and by this name: callgrind collects inside it (README.md).
  [[gnu::noinline]] void measured(uint64_t requests);

 private:
  void connect_through();
  void run(uint64_t requests);

  World& world_;
  int client_ = -1;
  int server_ = -1;
  proxy::Metrics metrics_;
  std::unique_ptr<proxy::ProxyWorker> worker_;
};

double median(std::vector<double>& values);  // and sorts them

// Of this thread: others on the machine do not count, but for the caches that they take.
double thread_cpu_ns();

}  // namespace weir::micro
