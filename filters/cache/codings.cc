#include "filters/cache/codings.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/log.h"
#include "filters/cache/flight.h"
#include "filters/compression/encoder.h"
#include "net/helpers.h"

namespace weir::filters::cache {

namespace {

using compression::Effort;

// So much is coded on a worker's loop, in a millisecond or less.
constexpr uint64_t kAtOnceBytes = 32 * 1024;
// What a helper may be asked for: a larger body is coded anew for each client, at little effort.
constexpr uint64_t kLaterBytes = 16 << 20;
// An answer that was asked for so often is worth the most effort.
constexpr uint64_t kPopularHits = 64;
// The suffix of a body that was made with it.
constexpr std::string_view kBest = "best";

std::vector<std::string_view> plain_spans(const Reader& of) {
  Reader reader = of;
  reader.open(Encoding::kIdentity);
  std::vector<std::string_view> spans;
  for (std::string_view span; reader.spans({&span, 1}, UINT64_MAX) == 1;) {
    spans.push_back(span);
    reader.consume(span.size());
  }
  return spans;
}

// Any thread. False: it would not get smaller.
bool encode(const Reader& reader, uint64_t length_bytes, Encoding encoding, Effort effort,
            std::string& out) {
  constexpr uint64_t kRoomBytes = 1024;
  return compression::compress_all(encoding, compression::level_of(encoding, effort),
                                   plain_spans(reader), length_bytes + kRoomBytes, out);
}

void keep(Store& store, const Reader& reader, Encoding encoding, Effort effort,
          std::string_view body) {
  const std::string_view suffix = effort == Effort::kPopular ? kBest : std::string_view();
  Writer writer = store.begin_encoding(reader, encoding, suffix, body.size());
  if (writer && writer.append(body) == Room::kOk) writer.finish();
}

// By a helper, unless one is at it already.
void encode_later(const Coded& coded, uint64_t length_bytes, Encoding encoding, Effort effort) {
  std::string name(coded.key);
  name += "\n\n";
  name += http::encoding_name(encoding);
  auto lead = std::make_shared<Lead>(flights().try_lead(name));
  if (!*lead) return;
  net::helpers().submit([store = &coded.store, reader = coded.reader, length_bytes, encoding,
                         effort, lead = std::move(lead)] {
    std::string body;
    if (encode(reader, length_bytes, encoding, effort, body)) {
      keep(*store, reader, encoding, effort, body);
    }
  });
}

}  // namespace

std::optional<uint64_t> turn_to(const Coded& coded, Reader& reader, Encoding encoding,
                                std::string& made) {
  if (!reader.has(Encoding::kIdentity)) return std::nullopt;
  if (reader.has(encoding)) {
    reader.open(encoding);
    if (coded.hits >= kPopularHits && reader.suffix() != kBest) {
      Reader plain = reader;
      plain.open(Encoding::kIdentity);
      if (plain.published() <= kLaterBytes) {
        encode_later(coded, plain.published(), encoding, Effort::kPopular);
      }
    }
    return reader.published();
  }
  reader.open(Encoding::kIdentity);
  const uint64_t length = reader.published();
  if (length > kAtOnceBytes) {
    if (length <= kLaterBytes) encode_later(coded, length, encoding, Effort::kStored);
    return std::nullopt;
  }
  if (!encode(reader, length, encoding, Effort::kStored, made)) return std::nullopt;
  keep(coded.store, reader, encoding, Effort::kStored, made);
  return made.size();
}

}  // namespace weir::filters::cache
