// Heads out of any text, for the fuzzers of what is read from fields: lines of "Name: value", an
// empty line between two heads. Broken lines are fields too; nothing is refused.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/arena.h"
#include "base/strings.h"
#include "http/cache_fields.h"

namespace weir::http::fuzz {

class FuzzHead {
 public:
  // Takes one head off `text`.
  explicit FuzzHead(std::string_view& text) : arena_(pool_), headers_(arena_) {
    constexpr size_t kMost = 100;
    while (!text.empty() && headers_.size() < kMost) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      if (line.empty()) return;
      const size_t colon = line.find(':');
      const std::string_view value =
          colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
      headers_.add(line.substr(0, colon), trim_ows(value));
    }
  }
  FuzzHead(const FuzzHead&) = delete;
  FuzzHead& operator=(const FuzzHead&) = delete;

  HeaderList& list() { return headers_; }
  CacheFields index() const { return CacheFields(headers_); }

 private:
  BlockPool pool_;
  Arena arena_;
  HeaderList headers_;
};

}  // namespace weir::http::fuzz
