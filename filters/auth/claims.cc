#include "filters/auth/claims.h"

#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"

namespace weir::filters::auth {

namespace {

constexpr int kNestedMax = 3;  // maps in maps whose members are claims of their own

using Entry = proxy::Claims::Entry;

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

Entry entry_of(std::string name, const Json& value) {
  if (!value.is_array() || !has_plain_items(value)) return {std::move(name), text_of(value), false};
  std::string text;
  for (const Json& item : value) {
    if (!text.empty()) text += ',';
    text += text_of(item);
  }
  return {std::move(name), std::move(text), true};
}

// Bounded, because a name is repeated by each of the members below it.
class Collector {
 public:
  void add_members(const Json& object, const std::string& prefix, int depth) {
    const auto& members = object.get_ref<const Json::object_t&>();
    if (depth == 0) entries_.reserve(members.size());
    for (const auto& [name, value] : members) {
      if (!value.is_null() && fits(prefix.size() + name.size()))
        add(entry_of(prefix + name, value));
    }
    if (depth == kNestedMax) return;
    for (const auto& [name, value] : members) {
      if (value.is_object() && fits(prefix.size() + name.size())) {
        add_members(value, prefix + name + '.', depth + 1);
      }
    }
  }
  std::vector<Entry> take() { return std::move(entries_); }

 private:
  bool fits(size_t text_bytes) const { return sizeof(Entry) + text_bytes <= left_bytes_; }

  void add(Entry entry) {
    const size_t text_bytes = entry.name.size() + entry.text.size();
    if (!fits(text_bytes)) return;
    left_bytes_ -= sizeof(Entry) + text_bytes;
    entries_.push_back(std::move(entry));
  }

  size_t left_bytes_ = limits::kClaimsBytes;
  std::vector<Entry> entries_;
};

}  // namespace

std::shared_ptr<const proxy::Claims> claims_of(const Json& payload) {
  Collector collector;
  collector.add_members(payload, {}, 0);
  return std::make_shared<const proxy::Claims>(collector.take());
}

}  // namespace weir::filters::auth
