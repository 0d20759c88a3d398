// What a purge by URL or prefix looks for: the text with which keys begin (key.h).
//
// Scheme and host are lower-cased, a port that is the scheme's goes, and a path that is missing is
// "/"; the path and each parameter stay as they are, because keys have them as they were sent. The
// order of parameters, and which of them count, is each route's business: a URL stands for all the
// keys that the routes of its host make of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::proxy {
struct Snapshot;
}

namespace weir::filters::cache {

// Without doubles. Among them always the URL as it is and with its parameters sorted: answers may
// be stored whose route has left the configuration. Empty: `url` is no URL.
std::vector<std::string> keys_of_url(std::string_view url, const proxy::Snapshot& snapshot);

// Empty: `prefix` is no URL.
std::string key_prefix(std::string_view prefix);

}  // namespace weir::filters::cache
