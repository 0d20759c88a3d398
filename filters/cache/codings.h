// Compressed forms of stored answers: made once, kept beside the plain one, and given to whoever
// takes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "filters/cache/store.h"
#include "proxy/body.h"

namespace weir::filters::cache {

// What is to be coded. Views that need only live during the call.
struct Coded {
  Store& store;
  const Reader& reader;  // of a whole answer with a plain body
  std::string_view key;  // primary
  uint64_t hits = 0;     // of the answer so far
};

// Turns `reader` to that coding, `length_bytes` long. Where the store has none yet, a small body is
// coded now, into `made`, and kept; a larger one by a thread of its own, for those who come later,
// as long as few wait for that. What is asked for often is coded again, as small as can be. Only
// what gets smaller is kept, and a mark where it does not.
using Turned = proxy::ResponseSource::Turned;
Turned turn_to(const Coded& coded, Reader& reader, Encoding encoding, std::string& made,
               uint64_t& length_bytes);

// Whether two answers, both whole, have the very same plain body, of which one may have codings
// that the other has not.
bool share_body(Reader one, Reader other);

}  // namespace weir::filters::cache
