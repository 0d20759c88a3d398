// Accept-Encoding (RFC 9110 12.5.3): which codings a client takes, how gladly, and which one it
// gets. Pure; nothing is allocated. Weights are thousandths, as they are written, never floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "http/cache_fields.h"

namespace weir::http {

enum class Encoding : uint8_t { kIdentity, kGzip, kBr, kZstd };
inline constexpr size_t kEncodings = 4;

std::string_view encoding_name(Encoding encoding);  // as Content-Encoding has it
// By its name, "x-gzip" too, in any case. False for one that weir does not know.
bool read_encoding(std::string_view name, Encoding& out);

// A client's preferences. Value type.
class AcceptEncoding {
 public:
  AcceptEncoding() = default;  // there is no such field
  explicit AcceptEncoding(const CacheFields& request);

  // One line of the field. What is not by the grammar is skipped; of a coding that is there twice
  // the lower weight counts.
  void add(std::string_view line);

  // 0 (not acceptable) to 1000. Without a field only identity is acceptable: a coding that nobody
  // asked for helps nobody. Identity is acceptable unless it is ruled out by name or by "*", but
  // the last choice (1) of a client that does not name it.
  uint32_t weight(Encoding encoding) const;
  bool accepts(Encoding encoding) const { return weight(encoding) > 0; }

  // The one that the client likes best of `offered`, which is in the server's order and need not
  // hold identity: that may always be chosen. Equals are decided by the server's order, identity
  // last. Identity too when nothing is acceptable (12.5.3 prefers it to a 406).
  Encoding choose(std::span<const Encoding> offered) const;

 private:
  static constexpr uint16_t kUnsaid = UINT16_MAX;

  std::array<uint16_t, kEncodings> said_ = {kUnsaid, kUnsaid, kUnsaid, kUnsaid};
  uint16_t any_ = kUnsaid;  // "*"
};

// The normal form for cache keys: which codings are acceptable, whatever their order, weights and
// spelling. Two requests of the same form may get each other's answers. At most
// kNormalEncodingsMax bytes are written to `out`: none without the field. `fits` is false where so
// many unknown codings are named that only the field itself tells them apart.
inline constexpr size_t kNormalEncodingsMax = 96;
struct NormalForm {
  size_t size = 0;
  bool fits = true;
};
NormalForm normal_encodings(const CacheFields& request, char* out);

}  // namespace weir::http
