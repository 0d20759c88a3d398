// What takes the place of weir's own error bodies. Immutable, part of the snapshot; any thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "proxy/template.h"

namespace weir::proxy {

struct ErrorPage {
  std::string content_type;
  Template body;
};

class ErrorPages {
 public:
  // `key`: a status, or 4 or 5 for all of that class that have no page of their own.
  void add(int key, std::shared_ptr<const ErrorPage> page) { pages_[key] = std::move(page); }
  // Null: the standard body stays.
  const ErrorPage* find(int status) const {
    auto found = pages_.find(status);
    if (found == pages_.end()) found = pages_.find(status / 100);
    return found == pages_.end() ? nullptr : found->second.get();
  }

 private:
  std::unordered_map<int, std::shared_ptr<const ErrorPage>> pages_;
};

}  // namespace weir::proxy
