#include "filters/maintenance.h"

#include <string>
#include <utility>

#include "filters/access.h"
#include "http/forwarded.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

using options::MapReader;
using options::Node;

constexpr uint64_t kDayMs = 86'400'000;

struct Closure {
  std::shared_ptr<proxy::Maintenance> maintenance;
  http::AddressSet testers;
};

class MaintenanceFilter : public proxy::Filter {
 public:
  explicit MaintenanceFilter(const Closure& closure) : closure_(closure) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead&) override {
    if (!closure_.maintenance->is_on()) return proxy::Next{};
    if (closure_.testers.contains(context.exchange().client().client)) return proxy::Next{};
    proxy::LocalReply closed = {503, {{"Cache-Control", "no-store"}}, {}, "maintenance"};
    closed.headers.emplace_back("Retry-After",
                                std::to_string(closure_.maintenance->retry_after_s()));
    return closed;
  }

 private:
  const Closure& closure_;  // the snapshot's, which the exchange pins
};

class Factory : public proxy::FilterFactory {
 public:
  explicit Factory(std::shared_ptr<const Closure> closure) : closure_(std::move(closure)) {}
  std::string_view name() const override { return "maintenance"; }
  proxy::FilterParts parts() const override { return proxy::parts_of<MaintenanceFilter>(); }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<MaintenanceFilter>(*closure_);
  }

 private:
  const std::shared_ptr<const Closure> closure_;
};

class MaintenanceSettings : public Settings {
 public:
  explicit MaintenanceSettings(Closure closure)
      : closure_(std::make_shared<const Closure>(std::move(closure))) {}
  const std::shared_ptr<proxy::Maintenance>& maintenance() const { return closure_->maintenance; }
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return std::make_unique<Factory>(closure_);
  }

 private:
  const std::shared_ptr<const Closure> closure_;  // shared by all routes of the level
};

// The first host of a site; a secret is no name.
std::string host_of(const Node& site) {
  const Node* hosts = site.find("hosts");
  if (hosts == nullptr || hosts->children.empty() || hosts->children.front()->secret()) {
    return site.path();
  }
  return hosts->children.front()->text;
}

// Of the level that says it, where it has no `name`: all, example.com, example.com/api/.
std::string standard_name(const Node& value) {
  const Node* const level = value.parent;
  if (level == nullptr || level->key == "defaults" || level->parent == nullptr) return "all";
  if (level->parent->key != "routes") return host_of(*level);
  const Node* const site = level->parent->parent;
  const std::string host = site == nullptr ? "" : host_of(*site);
  if (const Node* name = level->find("name"); name != nullptr && !name->secret()) {
    return host + "/" + name->text;
  }
  const Node* path = level->find("path");
  if (path == nullptr || path->secret()) return level->path();
  return host + (path->text.starts_with('=') ? path->text.substr(1) : path->text);
}

}  // namespace

SettingsPtr maintenance_standard() { return nullptr; }

SettingsPtr maintenance_read(const Node& value, const SettingsPtr&, const Reading& reading) {
  options::Problems& problems = reading.problems;
  MapReader map(value, problems);
  std::string name = standard_name(value);
  if (map.string("name", name) && name.empty()) problems.error(*map.find("name"), "is empty");
  std::string file;
  if (map.string("file", file) && !file.starts_with('/')) {
    const Node& node = *map.find("file");
    problems.error(node, "must be an absolute path, not " + node.shown());
  }
  uint64_t retry_after_ms = 300'000;
  map.duration_ms("retry_after", {1000, 30 * kDayMs}, retry_after_ms);
  Closure closure;
  if (const Node* testers = map.find("allow")) read_addresses(*testers, problems, closure.testers);
  map.finish();
  closure.maintenance = std::make_shared<proxy::Maintenance>(std::move(name), std::move(file),
                                                             (retry_after_ms + 999) / 1000);
  return std::make_shared<MaintenanceSettings>(std::move(closure));
}

std::shared_ptr<proxy::Maintenance> maintenance_of(const Settings* settings) {
  const auto* ours = dynamic_cast<const MaintenanceSettings*>(settings);
  return ours == nullptr ? nullptr : ours->maintenance();
}

}  // namespace weir::filters
