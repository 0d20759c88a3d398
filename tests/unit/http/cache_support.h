// What the tests of caching rules share: heads of a few fields.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/arena.h"
#include "http/cache_fields.h"

namespace weir::http::test {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// A head of these fields, alive as long as this. Their text is not copied.
class Head {
 public:
  explicit Head(Fields fields) : arena_(pool_), headers_(arena_) {
    for (const auto& [name, value] : fields) headers_.add(name, value);
  }
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  HeaderList& list() { return headers_; }
  CacheFields index() const { return CacheFields(headers_); }

 private:
  BlockPool pool_;
  Arena arena_;
  HeaderList headers_;
};

}  // namespace weir::http::test
