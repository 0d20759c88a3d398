// gzip's low levels, by ISA-L: half of zlib's time at level 1 and a better ratio than its level 3.
// The rest of the levels, where size counts more than time, are zlib's (gzip_zlib.cc).
#include <isa-l.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "filters/compression/encoder.h"
#include "filters/compression/gzip_padding.h"
#include "filters/compression/scratch_out.h"

namespace weir::filters::compression {

namespace {

// A level's memory for what it has seen. The "small" ones lose a thousandth of the ratio and have
// less than half the size, which counts where many streams are open.
constexpr std::array<uint32_t, 4> kLevelBytes = {0, ISAL_DEF_LVL1_SMALL, ISAL_DEF_LVL2_SMALL,
                                                 ISAL_DEF_LVL3_SMALL};
constexpr int kMax = static_cast<int>(kLevelBytes.size()) - 1;
// The library counts in 32 bits.
constexpr size_t kPieceMax = size_t{1} << 30;

class GzipFast : public Encoder {
 public:
  explicit GzipFast(Scratch scratch) : scratch_(scratch) { isal_deflate_init(&stream_); }

  void start(const StreamOptions& options) override {
    isal_deflate_reset(&stream_);
    const int level = std::clamp(options.level, 1, kMax);
    stream_.level = static_cast<uint32_t>(level);
    stream_.level_buf_size = kLevelBytes[static_cast<size_t>(level)];
    if (memory_bytes_ < stream_.level_buf_size) {
      memory_bytes_ = stream_.level_buf_size;
      memory_.reset(new uint8_t[memory_bytes_]);
    }
    stream_.level_buf = memory_.get();
    stream_.gzip_flag = IGZIP_GZIP_NO_HDR;
    stream_.flush = NO_FLUSH;
    stream_.end_of_stream = 0;
    padding_bytes_ = options.padding_bytes;
    begun_ = false;
    unflushed_ = false;
  }

  void put(std::string_view bytes, Sink& sink) override {
    ScratchOut out(scratch_, sink);
    begin(out);
    feed(bytes, out);
    out.drain();
  }

  void flush(Sink& sink) override {
    if (!unflushed_) return;
    ScratchOut out(scratch_, sink);
    stream_.flush = SYNC_FLUSH;
    run(out);
    stream_.flush = NO_FLUSH;
    unflushed_ = false;
    out.drain();
  }

  void finish(std::string_view bytes, Sink& sink) override {
    ScratchOut out(scratch_, sink);
    begin(out);
    while (bytes.size() > kPieceMax) {
      feed(bytes.substr(0, kPieceMax), out);
      bytes.remove_prefix(kPieceMax);
    }
    stream_.end_of_stream = 1;
    feed(bytes, out);
    WEIR_CHECK(stream_.internal_state.state == ZSTATE_END);
    unflushed_ = false;
    out.drain();
  }

 private:
  void begin(ScratchOut& out) {
    if (begun_) return;
    begun_ = true;
    out.set_room(out.room() - write_gzip_header(padding_bytes_, out.at()));
  }

  void feed(std::string_view bytes, ScratchOut& out) {
    do {
      const std::string_view piece = bytes.substr(0, kPieceMax);
      bytes.remove_prefix(piece.size());
      stream_.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(piece.data()));
      stream_.avail_in = static_cast<uint32_t>(piece.size());
      if (!piece.empty()) unflushed_ = true;
      run(out);
    } while (!bytes.empty());
  }

  // Until all is taken, and all is written that this call can write: room is left then.
  void run(ScratchOut& out) {
    do {
      out.drain_when_full();
      stream_.next_out = out.at();
      stream_.avail_out = static_cast<uint32_t>(out.room());
      WEIR_CHECK(isal_deflate(&stream_) == COMP_OK);
      out.set_room(stream_.avail_out);
    } while (stream_.avail_out == 0 && stream_.internal_state.state != ZSTATE_END);
    WEIR_CHECK(stream_.avail_in == 0);
  }

  const Scratch scratch_;
  isal_zstream stream_;
  std::unique_ptr<uint8_t[]> memory_;
  uint32_t memory_bytes_ = 0;
  uint32_t padding_bytes_ = 0;
  bool begun_ = false;
  bool unflushed_ = false;
};

}  // namespace

std::unique_ptr<Encoder> make_gzip_fast(Scratch scratch) {
  return std::make_unique<GzipFast>(scratch);
}

}  // namespace weir::filters::compression
