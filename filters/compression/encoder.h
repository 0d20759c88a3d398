// Bytes of an answer in, their compressed form out. What is behind the interface knows one library
// each; which engine serves which encoding and level is said by the table in encoder.cc.
//
// Whoever compresses on an event loop borrows an encoder of its thread (EncoderPool): its memory
// (200 KiB to some MiB) is what is expensive, and is used again.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "http/accept_encoding.h"
#include "proxy/body.h"

namespace weir::filters::compression {

// RFC 1952, RFC 7932, RFC 8878 with the window of RFC 9659; never kIdentity here.
using http::Encoding;

// Levels are the encoding's own, as its tools count them, from kLevelMin to kLevelMax on an event
// loop; compress_all() takes brotli's 10 and 11 and zstd's up to 19 as well. More is taken for the
// most there is.
inline constexpr int kLevelMin = 1;
inline constexpr int kLevelMax = 9;

// What `auto` stands for.
enum class Effort : uint8_t {
  kPassing,  // for one client: bench/micro/README.md has what it costs
  kStored,   // once for several clients, while the first one waits
  kPopular,  // in the background, for many
};
int level_of(Encoding encoding, Effort effort);

// Takes what is compressed. The bytes are good for the call.
using Sink = proxy::BodySink;

struct StreamOptions {
  int level = kLevelMin;
  uint64_t size_bytes = 0;  // of all that will be put; 0: not known. Saves memory, binds nobody
  // So many bytes that decoders skip stand before the data: what is said of BREACH in
  // compression.h.
  uint32_t padding_bytes = 0;
  // Windows as large as clients take: a better ratio of what is long, for more memory (up to 30
  // MiB) than what passes may have.
  bool wide = false;
};
inline constexpr uint32_t kPaddingMax = 255;

// A stream at a time; a new start() forgets an unfinished one. Pure: no I/O, no waiting. The
// libraries fail only where memory is out, which ends the process as everywhere.
class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;
  virtual ~Encoder() = default;

  // Writes nothing yet.
  virtual void start(const StreamOptions& options) = 0;
  // May keep bytes back for the sake of the ratio, at most 256 KiB.
  virtual void put(std::string_view bytes, Sink& out) = 0;
  // What was put so far can be decoded by what was written so far. Nothing put since: nothing done.
  virtual void flush(Sink& out) = 0;
  // The last bytes, if any, and the end. A stream that is finished with its only put is smaller and
  // cheaper.
  virtual void finish(std::string_view bytes, Sink& out) = 0;
};

// What encoders write into before a sink gets it: one for all of a thread, because none keeps it
// from one call to the next.
using Scratch = std::span<char>;
inline constexpr size_t kScratchBytes = 64 * 1024;

std::unique_ptr<Encoder> make_gzip_fast(Scratch scratch);   // levels 1 to 3
std::unique_ptr<Encoder> make_gzip_dense(Scratch scratch);  // levels 4 to 9
std::unique_ptr<Encoder> make_brotli();
std::unique_ptr<Encoder> make_zstd(Scratch scratch);

// The encoders of a thread, which creates it by its first use and takes it along at its end. A
// lease must not outlive the thread nor leave it.
class EncoderPool {
 public:
  static EncoderPool& of_thread();
  EncoderPool(const EncoderPool&) = delete;
  EncoderPool& operator=(const EncoderPool&) = delete;

  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease() { release(); }
    explicit operator bool() const { return encoder_ != nullptr; }
    Encoder* operator->() const { return encoder_.get(); }
    void release();

   private:
    friend class EncoderPool;
    std::unique_ptr<Encoder> encoder_;
    uint8_t kind_ = 0;
    bool long_lived_ = false;
  };

  // Started. `long_lived`: for a stream that may stand open for hours.
  Lease lease(Encoding encoding, const StreamOptions& options, bool long_lived = false);
  uint32_t leased() const { return leased_; }
  uint32_t long_lived() const { return long_lived_; }
  size_t idle() const;
  uint32_t random_padding();  // 0 to kPaddingMax, which nobody can guess

 private:
  // Of each kind, kept while nobody uses them: one is enough for answers that come in one piece.
  static constexpr size_t kIdleMax = 4;
  static constexpr size_t kKinds = 4;

  EncoderPool();
  std::unique_ptr<Encoder> make(uint8_t kind);

  std::array<std::vector<std::unique_ptr<Encoder>>, kKinds> idle_;
  std::unique_ptr<char[]> scratch_;
  RandomPool random_;
  uint32_t leased_ = 0;
  uint32_t long_lived_ = 0;
};

// The whole of `spans`, one after the other, as one stream, for whoever keeps it. Any thread; the
// memory of high levels (brotli 11, zstd 19: tens of MiB) is given back at once. `max_bytes`: more
// than that is of no use. False then, or when `stop` turned true (looked at for each 64 KiB): `out`
// has no meaning.
bool compress_all(Encoding encoding, int level, std::span<const std::string_view> spans,
                  size_t max_bytes, std::string& out, const std::atomic<bool>* stop = nullptr);

}  // namespace weir::filters::compression
