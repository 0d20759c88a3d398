// What a router must answer, by the contract's words and the slow way: routes in file order, each
// asked by itself. Shares no code with the router but patterns and conditions.
#pragma once

#include <string_view>
#include <vector>

#include "proxy/snapshot.h"

namespace weir::test {

inline bool naive_takes_path(const proxy::Route& route, std::string_view path) {
  switch (route.match) {
    case proxy::PathMatch::kExact: return path == route.path;
    case proxy::PathMatch::kSegment:
      return path == route.path || path.starts_with(route.path + "/");
    case proxy::PathMatch::kPrefix: return path.starts_with(route.path);
    case proxy::PathMatch::kRegex: return route.regex->matches(path);
  }
  return false;
}

struct NaiveAnswer {
  const proxy::Route* route = nullptr;
  http::MethodSet other_methods = 0;  // where no route takes it
};

inline NaiveAnswer naive_find(const std::vector<proxy::Route>& routes,
                              const http::RequestHead& request, std::string_view path) {
  NaiveAnswer answer;
  for (const proxy::Route& route : routes) {
    if (!naive_takes_path(route, path)) continue;
    bool named_hold = true;
    for (const proxy::Condition& condition : route.conditions.named) {
      named_hold = named_hold && condition.holds(request);
    }
    if (!named_hold) continue;
    const http::MethodSet methods = route.conditions.methods;
    if (methods == 0 || (methods & http::bit(request.method)) != 0) return {&route, 0};
    answer.other_methods |= methods;
  }
  return answer;
}

}  // namespace weir::test
