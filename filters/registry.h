// Which filters there are, in which order they run, and how the config speaks about each. Adding
// one is adding a row to the table in registry.cc; see README.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/options.h"
#include "filters/rate_limit/limit.h"
#include "proxy/filter.h"

namespace weir::filters {

// Of whom `auth` has let in: what another filter of the route asks for.
enum class User : uint8_t { kNobody, kSubject, kClaim };

// What a level of the config (defaults, site, route) makes of one filter, outer levels included.
// Immutable; levels that say nothing share their outer level's.
class Settings {
 public:
  virtual ~Settings() = default;
  // The filter for a route; null when the settings ask for nothing.
  virtual std::unique_ptr<proxy::FilterFactory> make() const = 0;
  virtual User asks_for() const { return User::kNobody; }
  virtual bool tells(User) const { return false; }
};
using SettingsPtr = std::shared_ptr<const Settings>;  // null: off

// What a filter's options are read with. Lives as long as the load.
struct Reading {
  options::Problems& problems;
  // The content of the file that a scalar names, beside the file it stands in; false after
  // reporting. Empty where tests name no files.
  std::function<bool(const options::Node& node, std::string& out)> file = {};
  bool https = false;  // some listener speaks it
  // Of the file's rate_limits; null: there are none.
  const rate_limit::Limits* limits = nullptr;
  // The upstream that a scalar names; null after reporting. Somebody waits for its answers.
  std::function<std::shared_ptr<const upstream::Cluster>(const options::Node& node)> upstream = {};
  bool* uses_cache = nullptr;  // is set where some level keeps answers
};

struct Kind {
  std::string_view key;  // in the config
  options::Kind shape;   // of its value, where that is not `off`; a list or map may be empty
  // What holds where no level names the key.
  SettingsPtr (*standard)();
  // What `value` says, on top of the outer level's settings (null: off there). Reports what is
  // wrong; the result is used only when nothing was. The word `off` never comes here.
  SettingsPtr (*read)(const options::Node& value, const SettingsPtr& outer, const Reading& reading);
  bool takes_words = false;  // besides `off`, where the shape is another
  bool second = false;       // of its key: what is wrong with the value the first one reports
};

// In running order: the first sees the request first and the response last.
std::span<const Kind> registry();

}  // namespace weir::filters
