#include "proxy/router.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "proxy/snapshot.h"

namespace weir::proxy {

namespace {

constexpr size_t kComparedMax = 4;  // keys of a group that are cheaper to compare than to hash
constexpr size_t kSwitchedMin = 8;  // routes of a chain with one condition's name in common
constexpr uint32_t kAskedMax = 4;   // patterns that are cheaper to ask one by one than as a set
constexpr uint32_t kSetMax = 1024;  // more would make a program too large to be built quickly

uint32_t hash_of(std::string_view key) {
  return static_cast<uint32_t>(std::hash<std::string_view>()(key));
}

// True when a path of `kind` and that length may take `path`: it ends where a segment does.
bool ends_at_border(PathMatch kind, size_t bytes, std::string_view path) {
  switch (kind) {
    case PathMatch::kExact: return bytes == path.size();
    case PathMatch::kSegment: return bytes == path.size() || path[bytes] == '/';
    case PathMatch::kPrefix: return path[bytes - 1] == '/';
    case PathMatch::kRegex: break;
  }
  return false;
}

}  // namespace

bool takes_path(const Route& route, std::string_view path) {
  if (route.match == PathMatch::kRegex) return route.regex->matches(path);
  return path.starts_with(route.path) && ends_at_border(route.match, route.path.size(), path);
}

void Router::build(const std::vector<Route>& routes) {
  WEIR_CHECK(groups_.empty() && branches_.empty());
  for (uint32_t i = 0; i < routes.size(); ++i) {
    if (routes[i].match == PathMatch::kRegex) regexes_.push_back(i);
    has_methods_ = has_methods_ || routes[i].conditions.methods != 0;
  }
  add_plain(routes);
  if (!regexes_.empty()) add_branch(routes, 0, static_cast<uint32_t>(regexes_.size()));
}

void Router::add_plain(const std::vector<Route>& routes) {
  struct Chain {
    uint32_t first;
    uint32_t last;
  };
  std::unordered_map<std::string_view, Chain> chains[3];  // by kind
  std::vector<uint32_t> firsts;
  for (uint32_t i = 0; i < routes.size(); ++i) {
    const Route& route = routes[i];
    if (route.match == PathMatch::kRegex) continue;
    WEIR_CHECK(!route.path.empty());
    const auto [at, fresh] =
        chains[static_cast<size_t>(route.match)].try_emplace(route.path, Chain{i, i});
    if (fresh) {
      firsts.push_back(i);
      continue;
    }
    Chain& chain = at->second;
    if (routes[chain.last].conditions.empty()) continue;  // what follows is never reached
    if (next_.empty()) next_.assign(routes.size(), kNone);
    next_[chain.last] = i;
    chain.last = i;
  }
  if (!next_.empty()) {
    for (const uint32_t first : firsts) add_switches(routes, first);
  }
  std::stable_sort(firsts.begin(), firsts.end(), [&routes](uint32_t a, uint32_t b) {
    const size_t a_bytes = routes[a].path.size();
    const size_t b_bytes = routes[b].path.size();
    return a_bytes != b_bytes ? a_bytes < b_bytes : routes[a].match < routes[b].match;
  });
  for (size_t begin = 0; begin < firsts.size();) {
    const Route& route = routes[firsts[begin]];
    size_t end = begin;
    while (end < firsts.size() && routes[firsts[end]].match == route.match &&
           routes[firsts[end]].path.size() == route.path.size()) {
      ++end;
    }
    add_group(routes, {firsts.begin() + static_cast<ptrdiff_t>(begin),
                       firsts.begin() + static_cast<ptrdiff_t>(end)});
    begin = end;
  }
}

// Takes routes that share a condition's name out of the chain, but for its first, which stands for
// it. A route with several conditions goes where the most others go.
void Router::add_switches(const std::vector<Route>& routes, uint32_t first) {
  using Name = std::pair<Condition::Kind, std::string>;
  std::map<Name, size_t> counts;
  for (uint32_t i = next(first); i != kNone; i = next(i)) {
    for (const Condition& condition : routes[i].conditions.named) {
      if (condition.value.size() <= ConditionSwitch::kValueBytes) {
        ++counts[{condition.kind, condition.name}];
      }
    }
  }
  std::map<Name, ConditionSwitch> switches;
  uint32_t last = first;
  for (uint32_t i = next(first); i != kNone;) {
    const uint32_t after = next_[i];
    const Condition* common = nullptr;
    size_t most = kSwitchedMin - 1;
    for (const Condition& condition : routes[i].conditions.named) {
      const size_t count = counts[{condition.kind, condition.name}];
      if (count > most && condition.value.size() <= ConditionSwitch::kValueBytes) {
        common = &condition;
        most = count;
      }
    }
    if (common == nullptr) {
      last = next_[last] = i;
    } else {
      switches.try_emplace({common->kind, common->name}, common->kind, common->name)
          .first->second.add(common->value, i);
      next_[last] = after;
    }
    i = after;
  }
  for (auto& [name, one] : switches) switches_[first].push_back(std::move(one));
}

// `firsts` are the routes that begin the chains of one kind and length.
void Router::add_group(const std::vector<Route>& routes, const std::vector<uint32_t>& firsts) {
  const Route& route = routes[firsts.front()];
  Group group = {static_cast<uint32_t>(route.path.size()), route.match,
                 firsts.size() > kComparedMax, static_cast<uint32_t>(keys_.size()),
                 static_cast<uint32_t>(firsts.size())};
  if (!group.hashed) {
    for (const uint32_t first : firsts) keys_.push_back({0, first});
  } else {
    group.count = std::bit_ceil(group.count * 2);
    keys_.resize(keys_.size() + group.count, {0, kNone});
    for (const uint32_t first : firsts) {
      const uint32_t hash = hash_of(routes[first].path);
      uint32_t place = hash & (group.count - 1);
      while (keys_[group.begin + place].first != kNone) place = (place + 1) & (group.count - 1);
      keys_[group.begin + place] = {hash, first};
    }
  }
  groups_.push_back(group);
}

uint32_t Router::add_branch(const std::vector<Route>& routes, uint32_t begin, uint32_t end) {
  std::vector<const Regex*> members;
  const uint32_t count = end - begin;
  uint32_t left = 0;
  uint32_t right = 0;
  if (count > kAskedMax) {
    left = add_branch(routes, begin, begin + count / 2);
    right = add_branch(routes, begin + count / 2, end);
    for (uint32_t i = begin; i < end && count <= kSetMax; ++i) {
      members.push_back(routes[regexes_[i]].regex.get());
    }
  }
  branches_.push_back({begin, end, left, right, RegexSet(members)});
  return static_cast<uint32_t>(branches_.size()) - 1;
}

uint32_t Router::look_up(const std::vector<Route>& routes, const Group& group,
                         std::string_view key) const {
  if (!group.hashed) {
    for (uint32_t i = group.begin; i < group.begin + group.count; ++i) {
      if (routes[keys_[i].first].path == key) return keys_[i].first;
    }
    return kNone;
  }
  const uint32_t hash = hash_of(key);
  for (uint32_t place = hash;; ++place) {
    const Key& at = keys_[group.begin + (place & (group.count - 1))];
    if (at.first == kNone) return kNone;
    if (at.hash == hash && routes[at.first].path == key) return at.first;
  }
}

// visit(first route of the chain), for every key that takes `path`.
template <typename Visit>
void Router::for_each_key(const std::vector<Route>& routes, std::string_view path,
                          Visit visit) const {
  for (const Group& group : groups_) {
    if (group.bytes > path.size()) break;
    if (!ends_at_border(group.kind, group.bytes, path)) continue;
    const uint32_t first = look_up(routes, group, path.substr(0, group.bytes));
    if (first != kNone) visit(first);
  }
}

// visit(route), for every route of the chain whose conditions may hold, in file order but for those
// that a value finds; false when no later one is of interest.
template <typename Visit>
void Router::for_each_of_chain(uint32_t first, const http::RequestHead& request,
                               Visit visit) const {
  for (uint32_t i = first; i != kNone && visit(i); i = next(i)) {
  }
  if (switches_.empty()) return;
  const auto found = switches_.find(first);
  if (found == switches_.end()) return;
  for (const ConditionSwitch& one : found->second) one.for_each(request, visit);
}

// In file order. `visit` has three members: past(route): nothing from there on is of interest;
// wants(route): its pattern is worth asking; take(route): it matched, and true ends the search.
template <typename Visit>
bool Router::visit_branch(const std::vector<Route>& routes, const Branch& branch,
                          std::string_view path, Visit& visit) const {
  if (visit.past(regexes_[branch.begin])) return false;
  if (branch.right != 0) {
    return branch.set.may_match(path) &&
           (visit_branch(routes, branches_[branch.left], path, visit) ||
            visit_branch(routes, branches_[branch.right], path, visit));
  }
  for (uint32_t i = branch.begin; i < branch.end; ++i) {
    const uint32_t route = regexes_[i];
    if (visit.past(route)) return false;
    if (visit.wants(route) && routes[route].regex->matches(path) && visit.take(route)) return true;
  }
  return false;
}

const Route* Router::find(const std::vector<Route>& routes, const http::RequestHead& request,
                          http::Method method, std::string_view path) const {
  uint32_t best = kNone;
  for_each_key(routes, path, [&](uint32_t first) {
    for_each_of_chain(first, request, [&](uint32_t i) {
      if (i >= best) return false;
      if (routes[i].conditions.hold(request, method)) best = i;
      return best != i;
    });
  });
  if (!regexes_.empty()) {
    struct FirstThatFits {
      const std::vector<Route>& routes;
      const http::RequestHead& request;
      http::Method method;
      uint32_t best;
      bool past(uint32_t route) const { return route >= best; }
      bool wants(uint32_t route) const { return routes[route].conditions.hold(request, method); }
      bool take(uint32_t route) {
        best = route;
        return true;
      }
    } visit{routes, request, method, best};
    visit_branch(routes, branches_.back(), path, visit);
    best = visit.best;
  }
  return best == kNone ? nullptr : &routes[best];
}

http::MethodSet Router::other_methods(const std::vector<Route>& routes,
                                      const http::RequestHead& request,
                                      std::string_view path) const {
  if (!has_methods_) return 0;
  struct Gather {
    const std::vector<Route>& routes;
    const http::RequestHead& request;
    http::MethodSet methods = 0;
    static bool past(uint32_t) { return false; }
    bool wants(uint32_t route) const {
      const Conditions& conditions = routes[route].conditions;
      return (conditions.methods & ~methods) != 0 && conditions.first_failing(request) == nullptr;
    }
    bool take(uint32_t route) {
      methods |= routes[route].conditions.methods;
      return false;
    }
  } visit{routes, request};
  for_each_key(routes, path, [&](uint32_t first) {
    for_each_of_chain(first, request, [&](uint32_t i) {
      if (visit.wants(i)) visit.take(i);
      return true;
    });
  });
  if (!regexes_.empty()) visit_branch(routes, branches_.back(), path, visit);
  return visit.methods;
}

}  // namespace weir::proxy
