// gzip's higher levels, by zlib: for what is compressed once and sent often, or where a
// configuration asks for it. The low levels are ISA-L's (gzip_isal.cc).
#include <zlib.h>

#include <algorithm>

#include "base/check.h"
#include "filters/compression/encoder.h"
#include "filters/compression/gzip_padding.h"
#include "filters/compression/scratch_out.h"

namespace weir::filters::compression {

namespace {

constexpr int kWindowBits = 15;
constexpr int kGzipFormat = 16;  // added to the window's bits
constexpr int kMemoryLevel = 8;
// The library counts in 32 bits.
constexpr size_t kPieceMax = size_t{1} << 30;

class GzipDense : public Encoder {
 public:
  explicit GzipDense(Scratch scratch) : scratch_(scratch) {
    WEIR_CHECK(deflateInit2(&stream_, level_, Z_DEFLATED, kWindowBits + kGzipFormat, kMemoryLevel,
                            Z_DEFAULT_STRATEGY) == Z_OK);
  }
  ~GzipDense() override { deflateEnd(&stream_); }

  void start(const StreamOptions& options) override {
    WEIR_CHECK(deflateReset(&stream_) == Z_OK);
    const int level = std::clamp(options.level, 1, Z_BEST_COMPRESSION);
    if (level != level_) {  // cheap: nothing is in the stream yet
      WEIR_CHECK(deflateParams(&stream_, level, Z_DEFAULT_STRATEGY) == Z_OK);
      level_ = level;
    }
    header_ = {};
    header_.os = 255;  // unknown
    if (options.padding_bytes > 0) {
      const uint32_t padding_bytes = std::min(options.padding_bytes, kPaddingMax);
      header_.extra = extra_;
      header_.extra_len = static_cast<uInt>(write_gzip_extra(padding_bytes, extra_));
    }
    WEIR_CHECK(deflateSetHeader(&stream_, &header_) == Z_OK);
    unflushed_ = false;
  }

  void put(std::string_view bytes, Sink& sink) override {
    if (bytes.empty()) return;
    ScratchOut out(scratch_, sink);
    feed(bytes, Z_NO_FLUSH, out);
    unflushed_ = true;
    out.drain();
  }

  void flush(Sink& sink) override {
    if (!unflushed_) return;
    ScratchOut out(scratch_, sink);
    run(Z_SYNC_FLUSH, out);
    unflushed_ = false;
    out.drain();
  }

  void finish(std::string_view bytes, Sink& sink) override {
    ScratchOut out(scratch_, sink);
    feed(bytes, Z_FINISH, out);
    unflushed_ = false;
    out.drain();
  }

 private:
  void feed(std::string_view bytes, int mode, ScratchOut& out) {
    while (bytes.size() > kPieceMax) {
      give(bytes.substr(0, kPieceMax));
      run(Z_NO_FLUSH, out);
      bytes.remove_prefix(kPieceMax);
    }
    give(bytes);
    run(mode, out);
  }

  void give(std::string_view piece) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
  }

  // Until all is taken, and all is written that this call can write: room is left then.
  void run(int mode, ScratchOut& out) {
    int result = Z_OK;
    do {
      out.drain_when_full();
      stream_.next_out = out.at();
      stream_.avail_out = static_cast<uInt>(out.room());
      result = deflate(&stream_, mode);
      // Z_BUF_ERROR: there was nothing left to do.
      WEIR_CHECK(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
      out.set_room(stream_.avail_out);
    } while (stream_.avail_out == 0 && result != Z_STREAM_END);
    WEIR_CHECK(stream_.avail_in == 0 && (mode == Z_FINISH) == (result == Z_STREAM_END));
  }

  const Scratch scratch_;
  z_stream stream_ = {};
  gz_header header_ = {};
  Bytef extra_[kGzipSubfieldHeadBytes + kPaddingMax] = {};
  int level_ = 6;
  bool unflushed_ = false;
};

}  // namespace

std::unique_ptr<Encoder> make_gzip_dense(Scratch scratch) {
  return std::make_unique<GzipDense>(scratch);
}

}  // namespace weir::filters::compression
