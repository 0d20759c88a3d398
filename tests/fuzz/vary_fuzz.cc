// Any Vary and any two requests: names have one form, keys can be taken apart again, and a client
// is given no coding that it did not accept.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "head_fuzz.h"
#include "http/accept_encoding.h"
#include "http/chars.h"
#include "http/vary.h"

namespace {

using namespace weir;
using namespace weir::http;

struct Part {
  std::string_view name;
  std::string_view value;  // with its kind
};

// What write_vary_key() wrote, by the rules of its header.
std::vector<Part> taken_apart(std::string_view key) {
  std::vector<Part> parts;
  while (!key.empty()) {
    size_t end = 0;
    while (end < key.size() && is_byte(key[end], kTokenByte)) ++end;
    uint32_t length = 0;
    WEIR_CHECK(end > 0 && key.size() >= end + 1 + sizeof length);
    std::memcpy(&length, key.data() + end + 1, sizeof length);
    const size_t size = 1 + sizeof length + length;
    WEIR_CHECK(key.size() >= end + size);
    parts.push_back({key.substr(0, end), key.substr(end, size)});
    key.remove_prefix(end + size);
  }
  return parts;
}

std::string names_of(const VaryNames& names) {
  char text[kVaryTextMax];
  return {text, names.write(text)};
}

// False when it does not fit.
bool key_of(std::string_view names, const CacheFields& request, std::string& out) {
  char key[kVaryKeyMax];
  size_t size = 0;
  const bool fits = write_vary_key(names, request, key, size);
  WEIR_CHECK(size <= sizeof key);
  out.assign(key, size);
  return fits;
}

void check_encodings(const CacheFields& request) {
  const AcceptEncoding accepted(request);
  char form[kNormalEncodingsMax];
  const NormalForm normal = normal_encodings(request, form);
  WEIR_CHECK(normal.size <= sizeof form);
  constexpr Encoding kAll[] = {Encoding::kBr, Encoding::kZstd, Encoding::kGzip};
  const Encoding chosen = accepted.choose(kAll);
  WEIR_CHECK(chosen == Encoding::kIdentity || accepted.accepts(chosen));
  for (const Encoding each : kAll) {
    WEIR_CHECK(accepted.weight(each) <= 1000);
    if (chosen != Encoding::kIdentity) WEIR_CHECK(accepted.weight(each) <= accepted.weight(chosen));
  }
  if (!normal.fits || normal.size == 0) return;
  const std::string_view text(form, normal.size);
  const std::string_view letters = text.substr(text.rfind('=') + 1);
  constexpr struct {
    Encoding encoding;
    char letter;
  } kLetters[] = {{Encoding::kIdentity, 'i'},
                  {Encoding::kGzip, 'g'},
                  {Encoding::kBr, 'b'},
                  {Encoding::kZstd, 'z'}};
  for (const auto& row : kLetters) {
    const bool said = letters.find(row.letter) != std::string_view::npos;
    WEIR_CHECK(said == accepted.accepts(row.encoding));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const fuzz::FuzzHead answer(text);
  const fuzz::FuzzHead first(text);
  const fuzz::FuzzHead second(text);
  check_encodings(first.index());
  check_encodings(second.index());
  const VaryNames names(answer.index());
  if (names.matches_nothing()) return 0;
  const std::string normal = names_of(names);
  VaryNames again;
  again.add(normal);
  WEIR_CHECK(!again.matches_nothing() && names_of(again) == normal);
  std::string one;
  std::string two;
  if (!key_of(normal, first.index(), one) || !key_of(normal, second.index(), two)) return 0;
  const std::vector<Part> parts = taken_apart(one);
  const std::vector<Part> others = taken_apart(two);
  WEIR_CHECK(parts.size() == names.names().size() && parts.size() == others.size());
  bool same = true;
  for (size_t i = 0; i < parts.size(); ++i) {
    WEIR_CHECK(parts[i].name == others[i].name && iequals(parts[i].name, names.names()[i]));
    same = same && parts[i].value == others[i].value;
  }
  WEIR_CHECK(same == (one == two));
  return 0;
}
