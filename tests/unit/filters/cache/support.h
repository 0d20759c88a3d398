// What the cache store's tests share.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "filters/cache/store.h"

namespace weir::filters::cache {

// A request whose secondary key is known.
class By final : public SecondaryKey {
 public:
  explicit By(std::string secondary = "") : secondary_(std::move(secondary)) {}
  std::string_view by(std::string_view vary) override {
    seen = vary;
    return secondary_;
  }
  std::string seen;

 private:
  std::string secondary_;
};

// Bytes by which a wrong place shows.
inline std::string pattern(size_t size, uint64_t seed) {
  std::string out(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    out[i] = static_cast<char>((seed * 131 + i * 7 + (i >> 8)) & 0xff);
  }
  return out;
}

inline std::string rest_of(Reader& reader) {
  std::string out;
  std::array<std::string_view, 4> spans;
  while (const size_t count = reader.spans(spans, 100'000)) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      out += spans[i];
      bytes += spans[i].size();
    }
    reader.consume(bytes);
  }
  return out;
}

struct Put {
  std::string vary = {};
  std::string secondary = {};
  std::vector<std::string_view> tags = {};
  Meta meta = {};
  Encoding encoding = Encoding::kIdentity;
  bool sized = true;  // the length is known before
};

inline bool put(Store& store, std::string_view key, std::string_view body, const Put& how = {},
                std::string_view head = "HTTP/1.1 200 OK\r\n") {
  Writer writer = store.begin(key);
  if (!writer) return false;
  Answer answer;
  answer.meta = how.meta;
  answer.head = head;
  answer.vary = how.vary;
  answer.secondary = how.secondary;
  answer.tags = how.tags;
  answer.encoding = how.encoding;
  if (how.sized) answer.expected_bytes = body.size();
  if (writer.start(answer) != Room::kOk) return false;
  while (!body.empty()) {
    const std::string_view piece = body.substr(0, 30'000);
    if (writer.append(piece) != Room::kOk) return false;
    body.remove_prefix(piece.size());
  }
  return writer.finish();
}

inline Reader get(Store& store, std::string_view key, const std::string& secondary = "") {
  By by(secondary);
  return store.find(key, by).reader;
}

inline bool has(Store& store, std::string_view key, const std::string& secondary = "") {
  return static_cast<bool>(get(store, key, secondary));
}

}  // namespace weir::filters::cache
