// Makes the cache's filters for one route.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "filters/cache/options.h"
#include "proxy/filter.h"

namespace weir::filters::cache {

// Owned by the snapshot; immutable.
class Factory final : public proxy::FilterFactory {
 public:
  explicit Factory(OptionsPtr options) : options_(std::move(options)) {}

  std::string_view name() const override { return "cache"; }
  proxy::Filter* create(Arena& arena) const override;
  bool sees_bare_answers() const override { return true; }
  std::vector<std::string> explain(const proxy::Explained& asked) const override;

  const Options& options() const { return *options_; }

 private:
  const OptionsPtr options_;
};

}  // namespace weir::filters::cache
