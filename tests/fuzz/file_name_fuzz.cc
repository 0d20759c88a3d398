// Any path: as a route normalises it, it names something below the folder or nothing at all, and
// nothing that is hidden. Input: the kind of route, its path, a newline, the path of a request.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/check.h"
#include "http/rules.h"
#include "proxy/files/path.h"
#include "proxy/snapshot.h"

namespace {

using namespace weir;
using namespace weir::proxy;

void check_name(std::string_view name, bool well_known) {
  WEIR_CHECK(name.size() < files::kNameBytes);
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    const std::string_view segment = name.substr(at, end - at);
    WEIR_CHECK(files::is_servable(segment));
    const bool shown = well_known && at == 0 && segment == ".well-known";
    WEIR_CHECK(segment.front() != '.' || shown);
    at = end + 1;
  }
  WEIR_CHECK(name.find('\0') == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  if (line == std::string_view::npos || line == 0) return 0;
  BlockPool pool;
  Arena arena(pool);
  Route route;
  route.match = static_cast<PathMatch>(static_cast<uint8_t>(input[0]) % 4);
  route.path = std::string(input.substr(1, line - 1));
  const std::string_view path = http::normalise_path(input.substr(line + 1), false, arena);
  if (path.empty() || path.front() != '/') return 0;
  if (route.match != PathMatch::kRegex && !takes_path(route, path)) return 0;
  for (const bool well_known : {false, true}) {
    if (const auto name = files::name_below(route, path, well_known, arena)) {
      check_name(*name, well_known);
    }
  }
  return 0;
}
