// What most filters have alike: options that are read once, in the snapshot, shared by all routes
// that say nothing else; a factory that makes filters of them; settings that make the factory.
//
//   class Factory final : public SharedFactory<Access, Rule> {
//    public:
//     using SharedFactory::SharedFactory;
//     std::string_view name() const override { return "allow"; }
//   };
//   ... return shared_settings<Factory>(std::move(rule));
#pragma once

#include <memory>
#include <utility>

#include "filters/registry.h"

namespace weir::filters {

// Its filters are made of an OptionsOf that outlives them.
template <typename FilterOf, typename OptionsOf>
class SharedFactory : public proxy::FilterFactory {
 public:
  using Options = OptionsOf;
  explicit SharedFactory(std::shared_ptr<const Options> options) : options_(std::move(options)) {}
  proxy::Filter* create(Arena& arena) const override { return arena.make<FilterOf>(*options_); }
  proxy::FilterParts parts() const override { return proxy::parts_of<FilterOf>(); }
  static bool tells(User) { return false; }  // Settings::tells()

 protected:
  const Options& options() const { return *options_; }

 private:
  const std::shared_ptr<const Options> options_;
};

template <typename Factory>
class SharedSettings final : public Settings {
 public:
  explicit SharedSettings(typename Factory::Options options)
      : options_(std::make_shared<const typename Factory::Options>(std::move(options))) {}
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return std::make_unique<Factory>(options_);
  }
  bool tells(User user) const override { return Factory::tells(user); }

 private:
  const std::shared_ptr<const typename Factory::Options> options_;
};

template <typename Factory>
SettingsPtr shared_settings(typename Factory::Options options) {
  return std::make_shared<SharedSettings<Factory>>(std::move(options));
}

}  // namespace weir::filters
