// What an operator wants to be void in the cache, and how instances of weir tell each other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace weir::proxy {

struct PurgeOrder {
  // The letters of the wire (text_of_order()).
  enum class What : char {
    kUrl = 'u',     // all variants of one URL, whatever order its parameters have where the
                    // route sorts them
    kPrefix = 'p',  // all URLs that begin so
    kTag = 't',
    kAll = 'a',
  };
  static constexpr size_t kTextBytesMax = 8192;  // no key has a longer URL

  What what = What::kAll;
  std::string text;   // URL, prefix or tag; of kAll empty
  bool soft = false;  // what is hit is validated before it is used again, instead of removed

  bool operator==(const PurgeOrder&) const = default;
};

// Of what somebody typed, or a sentence that says what is wrong with it: an absolute http or https
// URL (a prefix has at least "/" behind its host, else it would hit other hosts), a tag of visible
// characters, no text for kAll.
Result<PurgeOrder> make_order(PurgeOrder::What what, std::string_view text, bool soft);

// "us https://example.com/a", "ah": the letter of what, "s" or "h" for soft or hard, the text.
std::string text_of_order(const PurgeOrder& order);
// Nothing: it is of a newer weir, or nobody's.
std::optional<PurgeOrder> order_of_text(std::string_view text);

}  // namespace weir::proxy
