// The route action `files`: which file a request is for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/accept_encoding.h"
#include "proxy/files/root.h"

namespace weir::proxy::files {

// Of a route. Immutable, in the snapshot.
struct Files {
  std::shared_ptr<const Root> root;
  std::vector<std::string> index = {"index.html"};  // what a folder is answered with
  // Codings of which there may be a sibling: "app.js.br". In the order of preference.
  std::vector<http::Encoding> precompressed;
  bool listing = false;           // of folders without an index
  bool shows_well_known = false;  // ".well-known", though it begins with a dot
};

struct Question {
  std::string_view name;  // name_below()
  std::string_view path;  // of the request: the title of a listing
  http::AcceptEncoding accept;
};

struct Finding {
  enum class Kind : uint8_t {
    kFile,
    kListing,
    kSlash,  // a folder, asked for without a slash at the end: relative links would go wrong
    kMissing,
    kForbidden,
    kFull,
    kFailed,
    kUncached,
  };
  Kind kind = Kind::kMissing;
  OpenFile file;
  http::Encoding encoding = http::Encoding::kIdentity;  // of the sibling that `file` is
  std::string_view type;                                // a literal: of the original's name
  std::string page;                                     // of a listing
};

// Without `may_wait` nothing is waited for (kUncached), and folders are not listed. Any thread.
Finding find(const Files& files, const Question& question, bool may_wait);

std::string_view sibling_suffix(http::Encoding encoding);  // ".br"

}  // namespace weir::proxy::files
