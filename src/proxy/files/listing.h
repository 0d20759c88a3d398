// What a folder holds, as a page. Its only client is a browser: everything is escaped.
#pragma once

#include <string>
#include <string_view>

#include "proxy/files/root.h"

namespace weir::proxy::files {

// Files and folders of `folder`, without those that begin with a dot and without links. `path` is
// the request's, for the title. False when it cannot be read.
bool list(OpenFile folder, std::string_view path, std::string& out);

}  // namespace weir::proxy::files
