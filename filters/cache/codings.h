// Compressed forms of stored answers: made once, kept beside the plain one, and given to whoever
// takes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "filters/cache/store.h"

namespace weir::filters::cache {

// What is to be coded. Views that need only live during the call.
struct Coded {
  Store& store;
  const Reader& reader;  // of a whole answer with a plain body
  std::string_view key;  // primary
  uint64_t hits = 0;     // of the answer so far
};

// Turns `reader` to that coding. Where the store has none yet, a small body is coded now, into
// `made`, and kept; a larger one by a helper, for those who come later. What is asked for often is
// coded again, as small as can be. The length of the coded body; nothing: there is none yet.
std::optional<uint64_t> turn_to(const Coded& coded, Reader& reader, Encoding encoding,
                                std::string& made);

}  // namespace weir::filters::cache
