#include <brotli/encode.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>

#include "base/check.h"
#include "filters/compression/encoder.h"

namespace weir::filters::compression {

namespace {

// Of what is compressed while it passes: bounds what an open stream holds.
constexpr int kPassingWindowLog = 17;
constexpr int kWindowLogMax = 22;
constexpr int kWindowLogMin = 16;  // below, the library prepares other tables, slower ones

// The memory of one stream after the other: the library cannot use its state twice, and what it
// takes for each would cost more than compressing does, in page faults.
class Blocks {
 public:
  Blocks() = default;
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() {
    for (Head* head : free_) std::free(head);
  }

  void* take(size_t bytes) {
    size_t best = free_.size();
    for (size_t i = 0; i < free_.size(); ++i) {
      const size_t has = free_[i]->bytes;
      if (has >= bytes && has / 2 <= bytes && (best == free_.size() || has < free_[best]->bytes)) {
        best = i;
      }
    }
    if (best == free_.size()) {
      Head* made = static_cast<Head*>(std::malloc(sizeof(Head) + bytes));
      WEIR_CHECK(made != nullptr);
      made->bytes = bytes;
      return made + 1;
    }
    Head* found = free_[best];
    free_[best] = free_.back();
    free_.pop_back();
    free_bytes_ -= found->bytes;
    return found + 1;
  }

  void give_back(void* block) {
    if (block == nullptr) return;
    Head* head = static_cast<Head*>(block) - 1;
    if (free_.size() == kFreeMax || head->bytes > kFreeBytesMax - free_bytes_) {
      std::free(head);
      return;
    }
    free_bytes_ += head->bytes;
    free_.push_back(head);
  }

 private:
  struct alignas(std::max_align_t) Head {
    size_t bytes;
  };
  // What a stream of the levels of event loops has; what is more goes back to the system.
  static constexpr size_t kFreeMax = 32;
  static constexpr size_t kFreeBytesMax = size_t{2} << 20;

  std::vector<Head*> free_;
  size_t free_bytes_ = 0;
};

class Brotli : public Encoder {
 public:
  Brotli() = default;
  ~Brotli() override { destroy(); }

  void start(const StreamOptions& options) override {
    destroy();
    state_ = BrotliEncoderCreateInstance(
        [](void* blocks, size_t bytes) { return static_cast<Blocks*>(blocks)->take(bytes); },
        [](void* blocks, void* block) { static_cast<Blocks*>(blocks)->give_back(block); },
        &blocks_);
    WEIR_CHECK(state_ != nullptr);
    const int level = std::clamp(options.level, 1, BROTLI_MAX_QUALITY);
    set(BROTLI_PARAM_QUALITY, static_cast<uint32_t>(level));
    set(BROTLI_PARAM_LGWIN, static_cast<uint32_t>(window_log(options)));
    set(BROTLI_PARAM_SIZE_HINT,
        static_cast<uint32_t>(std::min<uint64_t>(options.size_bytes, uint64_t{1} << 30)));
    padding_bytes_ = std::min(options.padding_bytes, kPaddingMax);
    unflushed_ = false;
  }

  void put(std::string_view bytes, Sink& out) override {
    if (bytes.empty()) return;
    begin(out);
    run(bytes, BROTLI_OPERATION_PROCESS, out);
    unflushed_ = true;
  }

  void flush(Sink& out) override {
    if (!unflushed_) return;
    run({}, BROTLI_OPERATION_FLUSH, out);
    unflushed_ = false;
  }

  void finish(std::string_view bytes, Sink& out) override {
    begin(out);
    run(bytes, BROTLI_OPERATION_FINISH, out);
    WEIR_CHECK(BrotliEncoderIsFinished(state_) == BROTLI_TRUE);
    destroy();
  }

 private:
  void destroy() {
    if (state_ != nullptr) BrotliEncoderDestroyInstance(state_);
    state_ = nullptr;
  }
  void set(BrotliEncoderParameter parameter, uint32_t value) {
    WEIR_CHECK(BrotliEncoderSetParameter(state_, parameter, value) == BROTLI_TRUE);
  }

  static int window_log(const StreamOptions& options) {
    const int most = options.wide ? kWindowLogMax : kPassingWindowLog;
    if (options.size_bytes == 0) return most;
    const int fitting = static_cast<int>(std::bit_width(options.size_bytes - 1));
    return std::clamp(fitting, kWindowLogMin, most);
  }

  // Padding is a metadata block, which decoders skip (RFC 7932 9.2). One byte more than asked for:
  // of a block of a single byte the library writes a head that says none.
  void begin(Sink& out) {
    if (padding_bytes_ == 0) return;
    constexpr uint8_t kZeros[kPaddingMax + 1] = {};
    uint8_t block[kPaddingMax + 17];  // and the heads of the stream and of the block
    const uint8_t* next = kZeros;
    size_t left = padding_bytes_ + 1;
    uint8_t* to = block;
    size_t room = sizeof(block);
    WEIR_CHECK(BrotliEncoderCompressStream(state_, BROTLI_OPERATION_EMIT_METADATA, &left, &next,
                                           &room, &to, nullptr) == BROTLI_TRUE);
    WEIR_CHECK(left == 0 && BrotliEncoderHasMoreOutput(state_) == BROTLI_FALSE);
    out.put({reinterpret_cast<const char*>(block), sizeof(block) - room});
    padding_bytes_ = 0;
  }

  // What is written stays in the library's memory until the sink has it: no copy.
  void run(std::string_view bytes, BrotliEncoderOperation operation, Sink& out) {
    size_t left = bytes.size();
    const uint8_t* next = reinterpret_cast<const uint8_t*>(bytes.data());
    bool more = true;
    while (left > 0 || more) {  // done only when a call leaves nothing
      size_t no_room = 0;
      WEIR_CHECK(BrotliEncoderCompressStream(state_, operation, &left, &next, &no_room, nullptr,
                                             nullptr) == BROTLI_TRUE);
      more = BrotliEncoderHasMoreOutput(state_) == BROTLI_TRUE;
      size_t size = 0;
      const uint8_t* made = BrotliEncoderTakeOutput(state_, &size);
      if (size > 0) out.put({reinterpret_cast<const char*>(made), size});
    }
  }

  Blocks blocks_;
  BrotliEncoderState* state_ = nullptr;
  uint32_t padding_bytes_ = 0;
  bool unflushed_ = false;
};

}  // namespace

std::unique_ptr<Encoder> make_brotli() { return std::make_unique<Brotli>(); }

}  // namespace weir::filters::compression
