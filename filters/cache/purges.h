// What is void from now on: in the store, and of what is being fetched. Each returns how many
// answers it hit. Any thread; a prefix or a tag that may match very many is work for the admin's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "filters/cache/store.h"

namespace weir::filters::cache {

// All variants of a URL as keys have it, "https://example.com/a?b=1", and no other URL.
uint64_t purge_url(Store& store, std::string_view url, Purge how);
// All URLs that begin so.
uint64_t purge_prefix(Store& store, std::string_view prefix, Purge how);
// These URLs with any query. False: about `budget` answers went, and there are more.
bool purge_resources(Store& store, std::span<const std::string> urls, size_t budget);
uint64_t purge_tag(Store& store, std::string_view tag, Purge how);
void purge_all(Store& store, Purge how);

}  // namespace weir::filters::cache
