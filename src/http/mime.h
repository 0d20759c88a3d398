// Media types by the extension of a file. Never allocates.
#pragma once

#include <string_view>

namespace weir::http {

// The Content-Type for a file of this name (or path): by what stands behind its last dot, in any
// case. Text types come with "charset=utf-8". "application/octet-stream" for all that is not known.
std::string_view content_type_of(std::string_view file_name);

}  // namespace weir::http
