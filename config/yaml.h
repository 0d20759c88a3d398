// YAML text to a tree of options. The only user of yaml-cpp is yaml.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/options.h"

namespace weir::config {

constexpr size_t kTextMaxBytes = 64u << 20;  // some 500,000 routes

enum class Empty : uint8_t { kError, kAllowed };

// The tree of one document, or null after reporting why there is none. Duplicate keys, tags, merge
// keys, several documents and what exceeds the bounds of yaml.cc are errors. Aliases are copies.
// Nothing but comments is null, too, and an error unless `empty` allows it.
std::unique_ptr<options::Document> parse_yaml(std::string_view text, std::string file,
                                              options::Problems& problems,
                                              Empty empty = Empty::kError);

}  // namespace weir::config
