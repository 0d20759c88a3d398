#include "proxy/files/tag.h"

#include <fmt/format.h>

namespace weir::proxy::files {

namespace {

// Reproducible builds set all times to 1970, or to 1980 where the format is zip's. Behind the last
// one of these, in any zone.
constexpr int64_t kErasEndNs = 315'705'600 * int64_t{1'000'000'000};  // 1980-01-03
constexpr int64_t kSettledNs = 1'000'000'000;

bool tells_time(const OpenFile& file) { return file.modified_ns >= kErasEndNs; }

}  // namespace

std::string_view entity_tag(const OpenFile& file, http::Encoding encoding, int64_t now_us,
                            Arena& arena) {
  const int64_t time_ns = tells_time(file) ? file.modified_ns : file.changed_ns;
  const bool settled = time_ns < now_us * 1000 - kSettledNs;
  constexpr size_t kTagChars = 64;
  char* const text = static_cast<char*>(arena.allocate(kTagChars, 1));
  const bool coded = encoding != http::Encoding::kIdentity;
  const auto end = fmt::format_to_n(text, kTagChars, "{}\"{:x}-{:x}{}{}\"", settled ? "" : "W/",
                                    time_ns, file.size_bytes, coded ? "-" : "",
                                    coded ? http::encoding_name(encoding) : std::string_view());
  return {text, end.size};
}

int64_t last_modified_s(const OpenFile& file, int64_t now_us) {
  const bool told = tells_time(file) && file.modified_ns <= now_us * 1000;
  return told ? file.modified_ns / 1'000'000'000 : 0;
}

}  // namespace weir::proxy::files
