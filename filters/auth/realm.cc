#include "filters/auth/realm.h"

#include <algorithm>
#include <string_view>

namespace weir::filters::auth {

namespace {

// Inside of quotes (RFC 9110 5.6.4), so that nothing has to be escaped.
bool is_realm(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
  });
}

}  // namespace

std::string read_realm(options::MapReader& map) {
  std::string realm = "weir";
  const options::Node* const node = map.find("realm");
  if (node != nullptr && options::read_string(*node, map.problems(), realm) && !is_realm(realm)) {
    map.problems().invalid(*node, "a realm", "printable ASCII without quotes and backslashes");
  }
  return "realm=\"" + realm + "\"";
}

}  // namespace weir::filters::auth
