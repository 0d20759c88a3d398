#include "filters/auth/auth.h"

#include <string>

#include "filters/auth/basic.h"
#include "filters/auth/forward.h"
#include "filters/auth/jwt.h"

namespace weir::filters {

namespace {

struct Way {
  std::string_view key;
  SettingsPtr (*read)(const options::Node& value, const Reading& reading);
};
constexpr Way kWays[] = {
    {"basic", &auth::basic_read}, {"jwt", &auth::jwt_read}, {"forward", &auth::forward_read}};

}  // namespace

SettingsPtr auth_standard() { return nullptr; }

SettingsPtr auth_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  options::MapReader map(value, reading.problems);
  const Way* chosen = nullptr;
  SettingsPtr settings;
  for (const Way& way : kWays) {
    const options::Node* const node = map.find(way.key);
    if (node == nullptr) continue;
    if (chosen != nullptr) {
      reading.problems.error(*node, "stands beside " + std::string(chosen->key),
                             "a route has one way to prove who it is");
      continue;
    }
    chosen = &way;
    settings = way.read(*node, reading);
  }
  map.finish();
  if (map.is_map() && chosen == nullptr) {
    reading.problems.error(value, "is empty", "one of basic, jwt and forward is due");
  }
  return settings;
}

}  // namespace weir::filters
