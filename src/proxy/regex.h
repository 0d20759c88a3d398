// Regular expressions of the configuration, in RE2's syntax: linear time whatever the pattern and
// the text. regex.cc is the only file that includes RE2. Immutable once made; any thread. A search
// takes RE2's own lock for reading; what it learns of a pattern (its DFA) is shared by all workers
// and bounded.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace re2 {
class RE2;
}

namespace weir::proxy {

class Regex {
 public:
  // Fails with what is wrong with the pattern, or with the limit that it is over (limits.h).
  static Result<std::shared_ptr<const Regex>> compile(std::string_view pattern);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  const std::string& pattern() const;
  size_t groups() const;
  // Anywhere in `text`, unless the pattern is anchored. Allocates nothing but states of the DFA
  // that no earlier text needed.
  bool matches(std::string_view text) const;
  // The leftmost match into `out`: \0 is all of it, then group by group; a group that took no part,
  // or that there is not, is empty. False when there is no match. REQUIRES !out.empty().
  bool capture(std::string_view text, std::span<std::string_view> out) const;

 private:
  friend class RegexSet;
  explicit Regex(std::unique_ptr<re2::RE2> compiled);
  const std::unique_ptr<re2::RE2> compiled_;
};

// Many patterns asked at once: one pass over the text, whatever their number.
class RegexSet {
 public:
  explicit RegexSet(std::span<const Regex* const> members);
  ~RegexSet();
  RegexSet(RegexSet&&) noexcept;
  RegexSet& operator=(RegexSet&&) = delete;

  // False when none of the members matches. True says nothing where there is no member, or where
  // the set is over its memory: the members must be asked one by one.
  bool may_match(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;  // null: no members, or too many for one program
};

}  // namespace weir::proxy
