#include "filters/compression/encoder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace weir::filters::compression {

namespace {

// As the pool counts them.
enum Kind : uint8_t { kGzipFastKind, kGzipDenseKind, kBrotliKind, kZstdKind };
constexpr int kGzipFastMax = 3;

Kind kind_of(Encoding encoding, int level) {
  switch (encoding) {
    case Encoding::kGzip: return level <= kGzipFastMax ? kGzipFastKind : kGzipDenseKind;
    case Encoding::kBr: return kBrotliKind;
    case Encoding::kZstd: return kZstdKind;
    case Encoding::kIdentity: break;
  }
  WEIR_CHECK(false);
}

std::unique_ptr<Encoder> make_kind(uint8_t kind, Scratch scratch) {
  switch (kind) {
    case kGzipFastKind: return make_gzip_fast(scratch);
    case kGzipDenseKind: return make_gzip_dense(scratch);
    case kBrotliKind: return make_brotli();
    default: return make_zstd(scratch);
  }
}

class BoundedText final : public Sink {
 public:
  BoundedText(std::string& text, size_t max_bytes) : text_(text), max_bytes_(max_bytes) {}
  void put(std::string_view bytes) override {
    fits_ = fits_ && bytes.size() <= max_bytes_ - text_.size();
    if (fits_) text_.append(bytes);
  }
  bool fits() const { return fits_; }

 private:
  std::string& text_;
  const size_t max_bytes_;
  bool fits_ = true;
};

}  // namespace

int level_of(Encoding encoding, Effort effort) {
  // By the tables of bench/micro/README.md: what is passed on is bounded by time, what is stored by
  // what a first client would notice, what is popular by the machine's patience.
  constexpr int kLevels[http::kEncodings][3] = {{1, 1, 1}, {2, 6, 9}, {2, 5, 11}, {1, 6, 19}};
  return kLevels[static_cast<size_t>(encoding)][static_cast<size_t>(effort)];
}

EncoderPool& EncoderPool::of_thread() {
  static thread_local EncoderPool pool;
  return pool;
}

EncoderPool::EncoderPool() : scratch_(new char[kScratchBytes]) {}

std::unique_ptr<Encoder> EncoderPool::make(uint8_t kind) {
  return make_kind(kind, {scratch_.get(), kScratchBytes});
}

EncoderPool::Lease EncoderPool::lease(Encoding encoding, const StreamOptions& options,
                                      bool long_lived) {
  Lease lease;
  lease.kind_ = kind_of(encoding, options.level);
  lease.long_lived_ = long_lived;
  std::vector<std::unique_ptr<Encoder>>& idle = idle_[lease.kind_];
  if (idle.empty()) {
    lease.encoder_ = make(lease.kind_);
  } else {
    lease.encoder_ = std::move(idle.back());
    idle.pop_back();
  }
  ++leased_;
  if (long_lived) ++long_lived_;
  lease.encoder_->start(options);
  return lease;
}

size_t EncoderPool::idle() const {
  size_t count = 0;
  for (const auto& of_kind : idle_) count += of_kind.size();
  return count;
}

uint32_t EncoderPool::random_padding() {
  static_assert(kPaddingMax == 255);
  uint8_t bytes = 0;
  random_.fill(&bytes, 1);
  return bytes;
}

EncoderPool::Lease::Lease(Lease&& other) noexcept
    : encoder_(std::move(other.encoder_)), kind_(other.kind_), long_lived_(other.long_lived_) {}

EncoderPool::Lease& EncoderPool::Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  release();
  encoder_ = std::move(other.encoder_);
  kind_ = other.kind_;
  long_lived_ = other.long_lived_;
  return *this;
}

void EncoderPool::Lease::release() {
  if (encoder_ == nullptr) return;
  EncoderPool& pool = of_thread();
  --pool.leased_;
  if (long_lived_) --pool.long_lived_;
  std::vector<std::unique_ptr<Encoder>>& idle = pool.idle_[kind_];
  if (idle.size() < kIdleMax) {
    idle.push_back(std::move(encoder_));
  } else {
    encoder_.reset();
  }
}

bool compress_all(Encoding encoding, int level, std::span<const std::string_view> spans,
                  size_t max_bytes, std::string& out, const std::atomic<bool>* stop) {
  constexpr size_t kSliceBytes = 64 * 1024;
  out.clear();
  const std::unique_ptr<char[]> scratch(new char[kScratchBytes]);
  const std::unique_ptr<Encoder> encoder =
      make_kind(kind_of(encoding, level), {scratch.get(), kScratchBytes});
  StreamOptions options;
  options.level = level;
  options.wide = true;
  for (const std::string_view span : spans) options.size_bytes += span.size();
  encoder->start(options);
  BoundedText text(out, max_bytes);
  std::string_view last;  // goes with the end
  for (std::string_view span : spans) {
    while (!span.empty()) {
      if (!last.empty()) encoder->put(last, text);
      if (!text.fits() || (stop != nullptr && stop->load())) return false;
      last = span.substr(0, kSliceBytes);
      span.remove_prefix(last.size());
    }
  }
  encoder->finish(last, text);
  return text.fits();
}

}  // namespace weir::filters::compression
