#include "filters/auth/claims.h"

#include <string>
#include <utility>
#include <vector>

namespace weir::filters::auth {

namespace {

constexpr int kNestedMax = 3;  // maps in maps whose members are claims of their own

std::string json_of(const Json& value) {
  return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get_ref<const std::string&>() : json_of(value);
}

bool has_plain_items(const Json& list) {
  for (const Json& item : list) {
    if (item.is_structured() || item.is_null()) return false;
    if (item.is_string() && item.get_ref<const std::string&>().find(',') != std::string::npos) {
      return false;
    }
  }
  return true;
}

proxy::Claims::Entry entry_of(std::string name, const Json& value) {
  if (!value.is_array() || !has_plain_items(value)) return {std::move(name), text_of(value), false};
  std::string text;
  for (const Json& item : value) {
    if (!text.empty()) text += ',';
    text += text_of(item);
  }
  return {std::move(name), std::move(text), true};
}

void add_members(const Json& object, const std::string& prefix, int depth,
                 std::vector<proxy::Claims::Entry>& out) {
  for (const auto& [name, value] : object.items()) {
    if (!value.is_null()) out.push_back(entry_of(prefix + name, value));
  }
  if (depth == kNestedMax) return;
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) add_members(value, prefix + name + '.', depth + 1, out);
  }
}

}  // namespace

std::shared_ptr<const proxy::Claims> claims_of(const Json& payload) {
  std::vector<proxy::Claims::Entry> entries;
  add_members(payload, {}, 0, entries);
  return std::make_shared<const proxy::Claims>(std::move(entries));
}

}  // namespace weir::filters::auth
