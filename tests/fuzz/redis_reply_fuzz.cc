// Any bytes as the answers of a Redis: the same replies however they arrive, none larger than
// allowed, and no memory beyond that. The first byte is the size of the pieces.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/blocks.h"
#include "base/check.h"
#include "base/limits.h"
#include "net/redis_error.h"
#include "net/redis_reply.h"

namespace {

using namespace weir;
using namespace weir::net;
using Kind = RedisReply::Kind;

struct Sizes {
  size_t values = 0;
  size_t bytes = 0;
};

// Reads every byte of it, so that a sanitizer sees what is not there.
void write_down(const RedisReply& reply, std::string& out, Sizes& sizes) {
  out += std::to_string(static_cast<int>(reply.kind)) + ":" + std::to_string(reply.integer) + ":";
  out += reply.text;
  sizes.bytes += reply.text.size();
  WEIR_CHECK(reply.size == 0 || reply.kind == Kind::kList);
  sizes.values += reply.size;
  for (size_t i = 0; i < reply.size; ++i) write_down(reply.items[i], out, sizes);
  if (reply.is_error()) {
    const RedisReason reason = classify_redis_error(reply.text);
    WEIR_CHECK(reason != RedisReason::kNone && *redis_reason_word(reason) != '\0');
  }
}

std::string read_all(std::string_view bytes, size_t piece_bytes) {
  BlockPool blocks;
  std::string out;
  RedisReader reader(blocks);
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, piece_bytes);
    bytes.remove_prefix(piece.size());
    for (;;) {
      const RedisReader::Progress progress = reader.next(piece);
      if (progress == RedisReader::Progress::kBroken) return out + "broken";
      if (progress == RedisReader::Progress::kMore) break;
      Sizes sizes;
      write_down(reader.reply(), out, sizes);
      WEIR_CHECK(sizes.values <= limits::kRedisReplyValues);
      WEIR_CHECK(sizes.bytes <= limits::kRedisReplyBytes);
    }
    WEIR_CHECK(piece.empty());
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  WEIR_CHECK(read_all(bytes, size_t{data[0]} + 1) == read_all(bytes, size));
  return 0;
}
