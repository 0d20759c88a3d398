// What the cache did for a request, in the words of logs, metrics and X-Cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::proxy {

enum class CacheResult : uint8_t {
  kHit,          // answered from the store
  kMiss,         // by the server
  kStale,        // from the store, past its time
  kRevalidated,  // from the store, after the server has said that it still holds
  kBypass,       // the cache was not asked
};
inline constexpr size_t kCacheResults = 5;

constexpr std::string_view word_of(CacheResult result) {
  constexpr std::array<std::string_view, kCacheResults> kWords = {"HIT", "MISS", "STALE",
                                                                  "REVALIDATED", "BYPASS"};
  return kWords[static_cast<size_t>(result)];
}

// The metrics label.
constexpr const char* label_of(CacheResult result) {
  constexpr std::array<const char*, kCacheResults> kLabels = {"hit", "miss", "stale", "revalidated",
                                                              "bypass"};
  return kLabels[static_cast<size_t>(result)];
}

}  // namespace weir::proxy
