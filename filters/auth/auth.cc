#include "filters/auth/auth.h"

#include "filters/auth/basic.h"
#include "filters/auth/jwt.h"

namespace weir::filters {

SettingsPtr auth_standard() { return nullptr; }

SettingsPtr auth_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  options::MapReader map(value, reading.problems);
  const options::Node* const basic = map.find("basic");
  const options::Node* const jwt = map.find("jwt");
  map.later({"forward"});
  map.finish();
  if (basic != nullptr && jwt != nullptr) {
    reading.problems.error(*jwt, "stands beside basic", "a route has one way to prove who it is");
  }
  if (basic != nullptr) return auth::basic_read(*basic, reading);
  if (jwt != nullptr) return auth::jwt_read(*jwt, reading);
  if (map.is_map() && !map.has_later_key()) {
    reading.problems.error(value, "is empty", "one of basic and jwt is due");
  }
  return nullptr;
}

}  // namespace weir::filters
