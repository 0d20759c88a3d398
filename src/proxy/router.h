// Routes of one site, compiled: which is the first in file order whose path, methods and conditions
// take a request.
//
// Plain paths ("=/x", "/x", "/x/") are grouped by kind and length. Only the groups whose length
// ends at a border of the request's path are looked at: as many as it has segments, whatever the
// number of routes. Routes that differ in nothing but their conditions form a chain under one key;
// where many of them ask for a value of one header, parameter or cookie, the value finds them.
// Patterns are asked last, and only those that stand before the route found so far: halving sets of
// them (RegexSet) tell where one matches, so that a thousand cost about ten passes over the path.
//
// Owner: its Site. Immutable after build(); any thread. find() allocates nothing once the patterns
// have seen paths of a kind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/message.h"
#include "proxy/condition_switch.h"
#include "proxy/regex.h"

namespace weir::proxy {

struct Route;

// How a path is written in the config: "=/x" exact, "/x" up to a segment border, "/x/" plain
// prefix, and `path_regex`.
enum class PathMatch : uint8_t { kExact, kSegment, kPrefix, kRegex };

// Whether one route's path or pattern takes a normalised path, conditions aside. Not for requests:
// what find() has compiled, asked of one route.
bool takes_path(const Route& route, std::string_view path);

class Router {
 public:
  // Once. Later calls get the same routes in the same order.
  void build(const std::vector<Route>& routes);

  // `path` is normalised. Null when no route takes the request.
  const Route* find(const std::vector<Route>& routes, const http::RequestHead& request,
                    std::string_view path) const {
    return find(routes, request, request.method, path);
  }
  // As if it came with that method.
  const Route* find(const std::vector<Route>& routes, const http::RequestHead& request,
                    http::Method method, std::string_view path) const;

  // The methods with which a route would take a request that find() found none for; 0: none would.
  http::MethodSet other_methods(const std::vector<Route>& routes, const http::RequestHead& request,
                                std::string_view path) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // A key is a kind and a path; it stands for the chain of routes that have both.
  struct Key {
    uint32_t hash;
    uint32_t first;  // route of the chain; kNone: a free place of a hashed group
  };
  // The keys of one kind and length: few are compared one by one, many are hashed.
  struct Group {
    uint32_t bytes;
    PathMatch kind;
    bool hashed;
    uint32_t begin;  // in keys_
    uint32_t count;  // hashed: a power of two
  };
  // Patterns [begin, end) of regexes_ in file order; a leaf has no `right`.
  struct Branch {
    uint32_t begin;
    uint32_t end;
    uint32_t left;
    uint32_t right;
    RegexSet set;
  };

  void add_plain(const std::vector<Route>& routes);
  void add_group(const std::vector<Route>& routes, const std::vector<uint32_t>& firsts);
  uint32_t add_branch(const std::vector<Route>& routes, uint32_t begin, uint32_t end);
  uint32_t look_up(const std::vector<Route>& routes, const Group& group,
                   std::string_view key) const;
  void add_switches(const std::vector<Route>& routes, uint32_t first);
  uint32_t next(uint32_t route) const { return next_.empty() ? kNone : next_[route]; }
  template <typename Visit>
  void for_each_of_chain(uint32_t first, const http::RequestHead& request, Visit visit) const;
  template <typename Visit>
  void for_each_key(const std::vector<Route>& routes, std::string_view path, Visit visit) const;
  template <typename Visit>
  bool visit_branch(const std::vector<Route>& routes, const Branch& branch, std::string_view path,
                    Visit& visit) const;

  std::vector<Group> groups_;  // by length
  std::vector<Key> keys_;
  std::vector<uint32_t> next_;  // per route, in its chain; empty where no chain is longer than 1
  std::unordered_map<uint32_t, std::vector<ConditionSwitch>> switches_;  // by chain
  std::vector<uint32_t> regexes_;                                        // routes with a pattern
  std::vector<Branch> branches_;  // over regexes_; the last is the root
  bool has_methods_ = false;      // some route names methods: 405 is possible
};

}  // namespace weir::proxy
