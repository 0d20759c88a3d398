#include "filters/cache/purges.h"

#include <algorithm>
#include <string>
#include <vector>

#include "filters/cache/flight.h"

namespace weir::filters::cache {

// Flights go last: one that begins in between finds the store purged, and is young enough.
uint64_t purge_url(Store& store, std::string_view url, Purge how) {
  const std::string with_parts = std::string(url) + "\n";
  const uint64_t hits = store.purge(url, how) + store.purge_prefix(with_parts, how);
  flights().outdate(
      [&](std::string_view key) { return key == url || key.starts_with(with_parts); });
  return hits;
}

uint64_t purge_prefix(Store& store, std::string_view prefix, Purge how) {
  const uint64_t hits = store.purge_prefix(prefix, how);
  flights().outdate([&](std::string_view key) { return key.starts_with(prefix); });
  return hits;
}

bool purge_resources(Store& store, std::span<const std::string> urls, size_t budget) {
  const bool done = store.purge_resources(urls, budget);
  flights().outdate([urls](std::string_view key) {
    return std::any_of(urls.begin(), urls.end(),
                       [key](const std::string& url) { return is_key_of(key, url); });
  });
  return done;
}

// Which tags an answer has whose head has not come only its server knows: the store does not take
// it if it has this one, so nobody reads along then.
uint64_t purge_tag(Store& store, std::string_view tag, Purge how) {
  std::vector<std::string> growing;
  const uint64_t hits = store.purge_tag(tag, how, &growing);
  if (growing.empty()) return hits;
  flights().outdate([&](std::string_view flight) {
    return std::any_of(growing.begin(), growing.end(), [&](const std::string& key) {
      return flight == key || flight.starts_with(key + "\n\n");
    });
  });
  return hits;
}

void purge_all(Store& store, Purge how) {
  store.purge_all(how);
  flights().outdate([](std::string_view) { return true; });
}

}  // namespace weir::filters::cache
