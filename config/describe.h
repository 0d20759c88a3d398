// What the admin endpoint may say of a configuration: its text without its secrets, and its
// outline. Pure; config thread.
#pragma once

#include <memory>

#include "base/options.h"
#include "proxy/outline.h"

namespace weir::config {

// Of a whole tree, in which everything is substituted. The text is JSON with the keys as written,
// and behind them, map by map, those of `defaults`; the outline is of what was written.
// Redacted as "***" is what came from the environment or from a file, all below a key that names a
// secret (*token*, *secret*, *password*, Authorization,
// ...), and the user information of URLs.
std::shared_ptr<const proxy::ConfigDescription> describe(const options::Node& root,
                                                         const options::Defaults& defaults);

}  // namespace weir::config
