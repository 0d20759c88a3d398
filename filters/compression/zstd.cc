#include <zstd.h>

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "filters/compression/encoder.h"
#include "filters/compression/scratch_out.h"

namespace weir::filters::compression {

namespace {

// Of what is compressed while it passes: bounds what an open stream holds (1 MiB at level 1, 3 MiB
// at level 9) and loses 2 % of the ratio of long answers.
constexpr int kPassingWindowLog = 17;
// Clients need not take more (RFC 9659 3).
constexpr int kWindowLogMax = 23;
constexpr int kWindowLogMin = 14;
constexpr int kLevelMost = 19;  // from 20 on windows are larger than clients take

class Zstd : public Encoder {
 public:
  explicit Zstd(Scratch scratch) : scratch_(scratch), context_(ZSTD_createCCtx()) {
    WEIR_CHECK(context_ != nullptr);
  }
  ~Zstd() override { ZSTD_freeCCtx(context_); }

  void start(const StreamOptions& options) override {
    check(ZSTD_CCtx_reset(context_, ZSTD_reset_session_only));
    const int level = std::clamp(options.level, 1, kLevelMost);
    set(ZSTD_c_compressionLevel, level);
    set(ZSTD_c_windowLog, window_log(options));
    padding_bytes_ = std::min(options.padding_bytes, kPaddingMax);
    unflushed_ = false;
  }

  void put(std::string_view bytes, Sink& sink) override {
    if (bytes.empty()) return;
    ScratchOut out(scratch_, sink);
    begin(out);
    run(bytes, ZSTD_e_continue, out);
    unflushed_ = true;
    out.drain();
  }

  void flush(Sink& sink) override {
    if (!unflushed_) return;
    ScratchOut out(scratch_, sink);
    run({}, ZSTD_e_flush, out);
    unflushed_ = false;
    out.drain();
  }

  void finish(std::string_view bytes, Sink& sink) override {
    ScratchOut out(scratch_, sink);
    begin(out);
    run(bytes, ZSTD_e_end, out);
    unflushed_ = false;
    out.drain();
  }

 private:
  static void check(size_t result) { WEIR_CHECK(ZSTD_isError(result) == 0); }
  void set(ZSTD_cParameter parameter, int value) {
    check(ZSTD_CCtx_setParameter(context_, parameter, value));
  }

  // Not larger than what is to come.
  static int window_log(const StreamOptions& options) {
    const int most = options.wide ? kWindowLogMax : kPassingWindowLog;
    if (options.size_bytes == 0) return most;
    const int fitting = static_cast<int>(std::bit_width(options.size_bytes - 1));
    return std::clamp(fitting, kWindowLogMin, most);
  }

  // Padding is a frame that decoders skip (RFC 8878 3.1.2).
  void begin(ScratchOut& out) {
    if (padding_bytes_ == 0) return;
    constexpr uint8_t kSkippableMagic[] = {0x50, 0x2a, 0x4d, 0x18};
    constexpr size_t kHeadBytes = 8;
    uint8_t* at = out.at();
    std::memset(at, 0, kHeadBytes + padding_bytes_);
    std::memcpy(at, kSkippableMagic, sizeof(kSkippableMagic));
    at[4] = static_cast<uint8_t>(padding_bytes_);
    out.set_room(out.room() - kHeadBytes - padding_bytes_);
    padding_bytes_ = 0;
  }

  void run(std::string_view bytes, ZSTD_EndDirective mode, ScratchOut& out) {
    ZSTD_inBuffer in = {bytes.data(), bytes.size(), 0};
    size_t left = 0;
    do {
      out.drain_when_full();
      ZSTD_outBuffer to = {out.at(), out.room(), 0};
      left = ZSTD_compressStream2(context_, &to, &in, mode);
      check(left);
      out.set_room(to.size - to.pos);
    } while (mode == ZSTD_e_continue ? in.pos < in.size : left > 0);
  }

  const Scratch scratch_;
  ZSTD_CCtx* const context_;
  uint32_t padding_bytes_ = 0;
  bool unflushed_ = false;
};

}  // namespace

std::unique_ptr<Encoder> make_zstd(Scratch scratch) { return std::make_unique<Zstd>(scratch); }

}  // namespace weir::filters::compression
