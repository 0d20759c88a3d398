// What real clients do with an encoded answer: the libraries' own decoders, over bytes that may be
// a beginning only.
#pragma once

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

#include <string>
#include <string_view>

#include "http/accept_encoding.h"

namespace weir::test {

struct Decoded {
  std::string bytes;
  bool fine = true;    // nothing that is not of the format
  bool whole = false;  // ended where the input ends
};

inline Decoded decode_gzip(std::string_view in) {
  Decoded out;
  z_stream stream = {};
  inflateInit2(&stream, 15 + 16);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  int result = Z_OK;
  do {
    char piece[4096];
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof(piece);
    result = inflate(&stream, Z_SYNC_FLUSH);
    out.bytes.append(piece, sizeof(piece) - stream.avail_out);
  } while (result == Z_OK && (stream.avail_in > 0 || stream.avail_out == 0));
  out.fine = result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR;
  out.whole = result == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  return out;
}

inline Decoded decode_brotli(std::string_view in) {
  Decoded out;
  BrotliDecoderState* state = BrotliDecoderCreateInstance(nullptr, nullptr, nullptr);
  size_t left = in.size();
  const uint8_t* next = reinterpret_cast<const uint8_t*>(in.data());
  BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT;
  for (bool full = true; full;) {
    uint8_t piece[4096];
    size_t room = sizeof(piece);
    uint8_t* to = piece;
    result = BrotliDecoderDecompressStream(state, &left, &next, &room, &to, nullptr);
    out.bytes.append(reinterpret_cast<char*>(piece), sizeof(piece) - room);
    full = room == 0;  // whatever it says: more may wait inside
  }
  out.fine = result != BROTLI_DECODER_RESULT_ERROR;
  out.whole = result == BROTLI_DECODER_RESULT_SUCCESS && left == 0;
  BrotliDecoderDestroyInstance(state);
  return out;
}

// Windows above 8 MiB are refused, as browsers do (RFC 9659).
inline Decoded decode_zstd(std::string_view bytes) {
  Decoded out;
  ZSTD_DCtx* context = ZSTD_createDCtx();
  ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 23);
  ZSTD_inBuffer in = {bytes.data(), bytes.size(), 0};
  size_t result = 1;
  for (bool full = true; out.fine && (in.pos < in.size || full);) {
    char piece[4096];
    ZSTD_outBuffer to = {piece, sizeof(piece), 0};
    result = ZSTD_decompressStream(context, &to, &in);
    out.bytes.append(piece, to.pos);
    out.fine = ZSTD_isError(result) == 0;
    full = to.pos == to.size && result != 0;
  }
  out.whole = out.fine && result == 0 && !bytes.empty();
  ZSTD_freeDCtx(context);
  return out;
}

inline Decoded decode(http::Encoding encoding, std::string_view in) {
  switch (encoding) {
    case http::Encoding::kGzip: return decode_gzip(in);
    case http::Encoding::kBr: return decode_brotli(in);
    case http::Encoding::kZstd: return decode_zstd(in);
    case http::Encoding::kIdentity: break;
  }
  return {};
}

}  // namespace weir::test
