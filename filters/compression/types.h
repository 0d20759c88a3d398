// Which media types are worth compressing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::filters::compression {

// Immutable once filled; part of the snapshot.
class TypeSet {
 public:
  // The usual ones: text, and what is text under another name.
  static TypeSet usual();

  // "text/html", or with one "*" in its second half: "text/*", "application/*+json". False where it
  // is neither.
  bool add(std::string_view pattern);
  // The value of a Content-Type field: parameters and case do not count (RFC 9110 8.3.1).
  bool contains(std::string_view content_type) const;

 private:
  struct Pattern {  // lower case
    std::string head;
    std::string tail;       // behind the "*"
    bool is_whole = false;  // there is none: head is all
  };
  std::vector<Pattern> patterns_;
};

// The type alone: without parameters and blanks around it.
std::string_view essence(std::string_view content_type);

}  // namespace weir::filters::compression
