// Which pages are meant, by the origin that their browser tells (RFC 6454; the Origin field of the
// Fetch standard).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/options.h"

namespace weir::filters {

// Origins by exact value, by the hosts below a name, or all. Immutable once read.
class Origins {
 public:
  // "https://a.test:8443", "https://*.a.test", "*", "null". Empty, or why it is none.
  std::string add(std::string_view text);
  bool takes_any() const { return any_; }
  // By value of Origin, as browsers write it: "null" only where it was added.
  bool contains(std::string_view origin) const;
  size_t size() const { return exact_.size() + wildcards_.size() + (any_ ? 1 : 0); }

 private:
  struct Wildcard {
    std::string scheme;  // "https://"
    std::string rest;    // ".a.test", with the port if it is not the scheme's own
  };
  void insert(std::string origin);

  bool any_ = false;
  std::vector<std::string> exact_;  // sorted
  std::vector<Wildcard> wildcards_;
};

// A list, or one text with commas: items may hold several, as variables of the environment do
// ("https://a.test, https://b.test"). Reports what is wrong; of an empty one with `hint`.
void read_origins(const options::Node& node, const char* hint, options::Problems& problems,
                  Origins& out);

// The origin that is asked at that authority, as browsers serialise it.
bool is_origin_of(std::string_view origin, std::string_view scheme, std::string_view authority);

}  // namespace weir::filters
