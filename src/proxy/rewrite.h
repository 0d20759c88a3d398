// `rewrite` of a route: another path for the server than the one that the client asked for.
// Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "proxy/regex.h"
#include "proxy/template.h"

namespace weir::proxy {

struct Rewrite {
  std::string strip_prefix;            // "/api", without a slash at its end; empty: none
  std::shared_ptr<const Regex> regex;  // null: none; asked after the prefix is gone
  Template replace;                    // takes the place of what `regex` matched; \1 are its groups

  struct Target {
    std::string_view target;  // empty: what came out is no path that may be sent
    std::string_view path;    // of target
    std::string_view query;   // of target
  };
  // `path` is the normalised one that routes were matched against, so that what was matched is what
  // is rewritten; the query goes on unless `replace` brought one. The result starts with exactly
  // one slash, is normalised again, and is in the arena.
  Target apply(std::string_view path, std::string_view query, VariableSource& source,
               Arena& arena) const;
};

}  // namespace weir::proxy
