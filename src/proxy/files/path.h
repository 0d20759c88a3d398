// From the path of a request to a name below a folder. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"

namespace weir::proxy {
struct Route;
}

namespace weir::proxy::files {

// The longest name that the kernel takes, with its NUL.
inline constexpr size_t kNameBytes = 4096;

// What the route takes `path` (normalised) for, below its folder: what stands behind the prefix
// that it matches; of an exact path the last segment; of a pattern all of it. Percent-decoded,
// without a slash in front; empty, or with a slash at its end, it is a folder. In the arena, or
// part of `path`. Nothing: no file is called so. That is a name with an empty segment, a slash that
// was encoded, a backslash, a control character, or one that begins with a dot.
// `shows_well_known`: but for ".well-known" at the beginning (RFC 8615).
std::optional<std::string_view> name_below(const Route& route, std::string_view path,
                                           bool shows_well_known, Arena& arena);

// May be asked for by a client. Not for the dots in front.
bool is_servable(std::string_view segment);

}  // namespace weir::proxy::files
