// The header of a gzip stream (RFC 1952 2.3), with padding where every decoder skips it: a subfield
// of the extra field. Not its name or comment, of which some decoders take only so much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weir::filters::compression {

// Two letters that name the subfield, and its length.
inline constexpr size_t kGzipSubfieldHeadBytes = 4;
inline constexpr char kGzipSubfieldId[] = {'w', 'p'};

// The content of the extra field into `out`; its size.
inline size_t write_gzip_extra(uint32_t padding_bytes, uint8_t* out) {
  out[0] = static_cast<uint8_t>(kGzipSubfieldId[0]);
  out[1] = static_cast<uint8_t>(kGzipSubfieldId[1]);
  out[2] = static_cast<uint8_t>(padding_bytes & 0xff);
  out[3] = static_cast<uint8_t>(padding_bytes >> 8);
  std::memset(out + kGzipSubfieldHeadBytes, 0, padding_bytes);
  return kGzipSubfieldHeadBytes + padding_bytes;
}

// The whole header into `out`, which has room; its size. No time, no name; the system is "unknown".
inline size_t write_gzip_header(uint32_t padding_bytes, uint8_t* out) {
  constexpr size_t kFixedBytes = 10;
  constexpr uint8_t kExtraFlag = 4;
  const uint8_t flags = padding_bytes > 0 ? kExtraFlag : 0;
  const uint8_t fixed[kFixedBytes] = {0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 255};
  std::memcpy(out, fixed, kFixedBytes);
  if (padding_bytes == 0) return kFixedBytes;
  const size_t extra_bytes = write_gzip_extra(padding_bytes, out + kFixedBytes + 2);
  out[kFixedBytes] = static_cast<uint8_t>(extra_bytes & 0xff);
  out[kFixedBytes + 1] = static_cast<uint8_t>(extra_bytes >> 8);
  return kFixedBytes + 2 + extra_bytes;
}

}  // namespace weir::filters::compression
