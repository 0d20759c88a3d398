// Routes of one path that each ask for a value of the same header, parameter or cookie ("a route
// per tenant"): looked up by what a request brings, instead of being asked one by one. Immutable
// once built; any thread. Allocates nothing per request.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "http/params.h"
#include "proxy/conditions.h"

namespace weir::proxy {

class ConditionSwitch {
 public:
  static constexpr size_t kValueBytes = 256;  // longer ones are not for a switch

  ConditionSwitch(Condition::Kind kind, std::string name) : kind_(kind), name_(std::move(name)) {}
  // In file order. REQUIRES value.size() <= kValueBytes.
  void add(const std::string& value, uint32_t route) { routes_[value].push_back(route); }

  // visit(route), for each route whose value the request has; false skips the later ones of that
  // value. Whether the route's other conditions hold is not looked at.
  template <typename Visit>
  void for_each(const http::RequestHead& request, Visit visit) const {
    switch (kind_) {
      case Condition::Kind::kHeader:
        for (const http::Header& header : request.headers) {
          if (iequals(header.name, name_)) look_up(header.value, visit);
        }
        break;
      case Condition::Kind::kQuery:
        http::for_each_parameter(request.query, [&](std::string_view name, std::string_view value) {
          std::array<char, kValueBytes> text;
          size_t size = 0;
          if (http::equals_decoded(name, name_) && http::decode(value, text, size)) {
            look_up({text.data(), size}, visit);
          }
        });
        break;
      case Condition::Kind::kCookie:
        http::for_each_cookie(request.headers, [&](std::string_view name, std::string_view value) {
          if (name == name_) look_up(value, visit);
        });
        break;
    }
  }

 private:
  template <typename Visit>
  void look_up(std::string_view value, Visit& visit) const {
    const auto found = routes_.find(value);
    if (found == routes_.end()) return;
    for (const uint32_t route : found->second) {
      if (!visit(route)) return;
    }
  }

  const Condition::Kind kind_;
  const std::string name_;
  std::unordered_map<std::string, std::vector<uint32_t>, TextHash, std::equal_to<>> routes_;
};

}  // namespace weir::proxy
