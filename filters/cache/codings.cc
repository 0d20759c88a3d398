#include "filters/cache/codings.h"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "filters/cache/flight.h"
#include "filters/compression/encoder.h"
#include "net/helpers.h"

namespace weir::filters::cache {

namespace {

using compression::Effort;

// So much is coded on a worker's loop, in a millisecond or less.
constexpr uint64_t kAtOnceBytes = 32 * 1024;
// What may be coded in the background: a larger body is coded anew for each client, at little
// effort.
constexpr uint64_t kLaterBytes = 16 << 20;
// The same with the most effort: some seconds.
constexpr uint64_t kPopularBytes = 1 << 20;
// An answer that was asked for so often is worth it.
constexpr uint64_t kPopularHits = 64;
// Suffixes of coded bodies: one that was made with the most effort, and an empty one that stands
// for "it would not get smaller".
constexpr std::string_view kBest = "best";
constexpr std::string_view kLarger = "larger";

// A thread of its own: what waits for the process's helpers (logins, purges) must not wait for
// this. Reached: it is not coded now. Each that waits keeps an answer in memory.
constexpr size_t kWaitingMax = 8;

struct Coders {
  ~Coders() { stop = true; }

  std::atomic<bool> stop{false};  // before the thread is waited for
  net::Helpers helpers{1, kWaitingMax};
};

Coders& coders() {
  static Coders process;
  return process;
}

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

// Any thread. False: it would not get smaller, or `stop`.
bool encode(const Reader& reader, uint64_t length_bytes, Encoding encoding, Effort effort,
            std::string& out, const std::atomic<bool>* stop) {
  if (length_bytes == 0) return false;
  return compression::compress_all(encoding, compression::level_of(encoding, effort),
                                   plain_spans(reader), length_bytes - 1, out, stop);
}

void keep(Store& store, const Reader& reader, Encoding encoding, std::string_view suffix,
          std::string_view body) {
  Writer writer = store.begin_encoding(reader, encoding, suffix, body.size());
  if (writer && (body.empty() || writer.append(body) == Room::kOk)) writer.finish();
}

// What is the outcome of `effort`; where it is popular, there is another one already.
void keep_outcome(Store& store, const Reader& reader, Encoding encoding, Effort effort,
                  bool smaller, std::string_view body) {
  if (effort == Effort::kPopular) {
    if (smaller) keep(store, reader, encoding, kBest, body);
  } else if (smaller) {
    keep(store, reader, encoding, {}, body);
  } else {
    keep(store, reader, encoding, kLarger, {});
  }
}

// In the background, unless it is being done already, or too much is.
void encode_later(const Coded& coded, uint64_t length_bytes, Encoding encoding, Effort effort) {
  std::string name(coded.key);
  name += "\n\n";
  name += http::encoding_name(encoding);
  auto lead = std::make_shared<Lead>(flights().try_lead(name));
  if (!*lead) return;
  coders().helpers.submit([store = &coded.store, reader = coded.reader, length_bytes, encoding,
                           effort, lead = std::move(lead), stop = &coders().stop] {
    std::string body;
    const bool smaller = encode(reader, length_bytes, encoding, effort, body, stop);
    if (!stop->load()) keep_outcome(*store, reader, encoding, effort, smaller, body);
  });
}

// `reader` stands at a coding that was kept. False: it is a mark.
bool use_kept(const Coded& coded, Reader& reader, Encoding encoding) {
  if (reader.suffix() == kLarger) {
    reader.open(Encoding::kIdentity);
    return false;
  }
  if (coded.hits < kPopularHits || reader.suffix() == kBest) return true;
  Reader plain = reader;
  plain.open(Encoding::kIdentity);
  if (plain.published() <= kPopularBytes) {
    encode_later(coded, plain.published(), encoding, Effort::kPopular);
  }
  return true;
}

}  // namespace

Turned turn_to(const Coded& coded, Reader& reader, Encoding encoding, std::string& made,
               uint64_t& length_bytes) {
  if (!reader.has(Encoding::kIdentity)) return Turned::kNone;
  if (reader.has(encoding)) {
    reader.open(encoding);
    if (!use_kept(coded, reader, encoding)) return Turned::kPlain;
    length_bytes = reader.published();
    return Turned::kCoded;
  }
  reader.open(Encoding::kIdentity);
  const uint64_t length = reader.published();
  if (length > kAtOnceBytes) {
    if (length <= kLaterBytes) encode_later(coded, length, encoding, Effort::kStored);
    return Turned::kNone;
  }
  const bool smaller = encode(reader, length, encoding, Effort::kStored, made, nullptr);
  keep_outcome(coded.store, reader, encoding, Effort::kStored, smaller, made);
  if (!smaller) {
    made.clear();
    return Turned::kPlain;
  }
  length_bytes = made.size();
  return Turned::kCoded;
}

bool share_body(Reader one, Reader other) {
  if (!one.has(Encoding::kIdentity) || !other.has(Encoding::kIdentity)) return false;
  std::string_view begin;
  std::string_view other_begin;
  one.open(Encoding::kIdentity);
  other.open(Encoding::kIdentity);
  return one.spans({&begin, 1}, 1) == 1 && other.spans({&other_begin, 1}, 1) == 1 &&
         begin.data() == other_begin.data();
}

}  // namespace weir::filters::cache
