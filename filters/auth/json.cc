#include "filters/auth/json.h"

#include <string>
#include <utility>
#include <vector>

namespace weir::filters::auth {

namespace {

constexpr size_t kDepthMax = 16;

// Builds what the parser tells, and stops it (false) as soon as that is not to be had.
class Builder {
 public:
  Builder() { open_.reserve(kDepthMax); }
  // What the parser calls.
  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(Json::number_integer_t value) { return put(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return put(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return put(value); }
  // Texts are copied: the parser reads the next one into the memory of the last.
  bool string(const std::string& value) { return put(value); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(size_t) { return open(Json::value_t::object); }
  bool start_array(size_t) { return open(Json::value_t::array); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(const std::string& name) {
    auto& members = open_.back()->get_ref<Json::object_t&>();
    const auto [place, fresh] = members.emplace(name, nullptr);
    member_ = &place->second;
    return fresh;
  }
  bool parse_error(size_t, const std::string&, const Json::exception&) { return false; }

  Json take() { return std::move(root_); }

 private:
  // Where the next value belongs. An array grows only while none of its values is open.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_array()) return open_.back()->emplace_back();
    return *member_;
  }
  template <typename Value>
  bool put(const Value& value) {
    place() = value;
    return true;
  }
  bool open(Json::value_t type) {
    if (open_.size() == kDepthMax) return false;
    Json& value = place();
    value = type;
    open_.push_back(&value);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;  // the objects and arrays around the present place
  Json* member_ = nullptr;   // of the innermost object: the one whose name was read
};

}  // namespace

std::optional<Json> parse_json_object(std::string_view text) {
  Builder builder;
  if (!Json::sax_parse(text, &builder)) return std::nullopt;
  Json json = builder.take();
  if (!json.is_object()) return std::nullopt;
  return json;
}

const std::string* text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

}  // namespace weir::filters::auth
