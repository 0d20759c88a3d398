// What a configuration consists of, by names and digests: enough to say what a reload changed
// without keeping the file. Values of secrets enter the digests only. Built on the config thread,
// immutable after that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::proxy {

enum class Part : uint8_t { kSettings, kListeners, kUpstreams, kServers, kSites, kRoutes };
inline constexpr size_t kParts = 6;
const char* part_name(Part part);  // "settings", "listeners", ...

// In file order. `name` is what a reader knows the thing by: "http", "app", "app/10.0.0.1:3000",
// "example.com", "example.com /api/". Two of one name and part are told apart by their order.
struct OutlineEntry {
  Part part;
  std::string name;
  uint64_t digest;  // equal: says the same; good within one process
};
using Outline = std::vector<OutlineEntry>;

// What became of one part. The first kNamesMax names of each list; the rest is counted.
struct PartChanges {
  static constexpr size_t kNamesMax = 100;
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;
  size_t left_out = 0;

  bool empty() const { return added.empty() && removed.empty() && changed.empty(); }
};

using Changes = std::array<PartChanges, kParts>;  // by Part

Changes changes_between(const Outline& before, const Outline& after);

// A loaded configuration as admin pages show it.
struct ConfigDescription {
  std::string json;  // for people and tools, secrets redacted
  Outline outline;
};

}  // namespace weir::proxy
