// Any bytes in any pieces, flushed or not, through any encoder: a decoder gets all of it back, what
// was flushed at once. The first bytes say what; each later first byte of a piece its size and
// whether it is flushed and how often it is repeated. The same bytes as media types and as lists of
// entity tags.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/arena.h"
#include "base/check.h"
#include "filters/compression/encoder.h"
#include "filters/compression/types.h"
#include "filters/compression/weak_tags.h"
#include "http/headers.h"
#include "support/decoders.h"

namespace {

using namespace weir;
using namespace weir::filters::compression;

constexpr Encoding kEncodings[] = {Encoding::kGzip, Encoding::kBr, Encoding::kZstd};
constexpr size_t kPlainMax = 256 * 1024;

class Text final : public Sink {
 public:
  void put(std::string_view bytes) override { text.append(bytes); }
  std::string text;
};

std::string repeated(std::string_view piece, int times) {
  std::string out;
  while (times-- > 0) out.append(piece);
  return out;
}

void round_trip(std::string_view in) {
  if (in.size() < 3) return;
  const auto byte = [&in](size_t at) { return static_cast<uint8_t>(in[at]); };
  const Encoding encoding = kEncodings[byte(0) % 3];
  StreamOptions options;
  options.level = byte(0) / 3 % kLevelMax + 1;
  options.padding_bytes = byte(1);
  options.size_bytes = uint64_t{byte(2)} << (byte(2) % 24);
  in.remove_prefix(3);
  EncoderPool::Lease encoder = EncoderPool::of_thread().lease(encoding, options);
  Text out;
  std::string plain;
  while (in.size() > 1 && plain.size() < kPlainMax) {
    const uint8_t how = byte(0);
    in.remove_prefix(1);
    const std::string_view piece = in.substr(0, how >> 2);
    in.remove_prefix(piece.size());
    const std::string bytes = repeated(piece, how % 2 == 0 ? 1 : 200);
    plain += bytes;
    encoder->put(bytes, out);
    if ((how & 2) == 0) continue;
    encoder->flush(out);
    const test::Decoded back = test::decode(encoding, out.text);
    WEIR_CHECK(back.fine && !back.whole && back.bytes == plain);
  }
  encoder->finish(in, out);
  plain += in;
  const test::Decoded back = test::decode(encoding, out.text);
  WEIR_CHECK(back.fine && back.whole && back.bytes == plain);
}

void tags(std::string_view in) {
  static const auto known = std::make_unique<WeakTags>();
  BlockPool pool;
  Arena arena(pool);
  http::HeaderList answer(arena);
  answer.add("ETag", in);
  weaken_tag(*known, {"a", "/"}, answer);
  http::HeaderList request(arena);
  request.add("If-None-Match", answer.find("ETag")->value);
  request.add("If-Match", in);
  restore_tags(*known, {"a", "/"}, request);
  weaken_known_tag(in, answer);
  WEIR_CHECK(request.size() == 2 && answer.size() == 1);
  // What was strong is so again, to the byte.
  const bool changed = answer.find("ETag")->value != in;
  if (changed) WEIR_CHECK(request.find("If-None-Match")->value == in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view in(reinterpret_cast<const char*>(data), size);
  round_trip(in);
  tags(in);
  TypeSet types;
  const size_t half = in.size() / 2;
  types.add(in.substr(0, half));
  types.contains(in.substr(half));
  types.contains(in);
  return 0;
}
