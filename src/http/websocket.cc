#include "http/websocket.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/base64.h"

namespace weir::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kDigestBytes = 20;
constexpr size_t kChunkBytes = 64;
using Digest = std::array<uint8_t, kDigestBytes>;

// FIPS 180-4 6.1, one chunk. Here it proves nothing but that the peer has read the request.
void add_chunk(const uint8_t* chunk, std::array<uint32_t, 5>& state) {
  uint32_t words[80];
  for (size_t i = 0; i < 16; ++i) {
    words[i] = uint32_t{chunk[4 * i]} << 24 | uint32_t{chunk[4 * i + 1]} << 16 |
               uint32_t{chunk[4 * i + 2]} << 8 | uint32_t{chunk[4 * i + 3]};
  }
  for (size_t i = 16; i < 80; ++i) {
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  auto [a, b, c, d, e] = state;
  for (size_t i = 0; i < 80; ++i) {
    uint32_t mix = b ^ c ^ d;
    uint32_t constant = i < 40 ? 0x6ed9eba1 : 0xca62c1d6;
    if (i < 20) {
      mix = (b & c) | (~b & d);
      constant = 0x5a827999;
    } else if (i >= 40 && i < 60) {
      mix = (b & c) | (b & d) | (c & d);
      constant = 0x8f1bbcdc;
    }
    const uint32_t next = std::rotl(a, 5) + mix + e + constant + words[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  const uint32_t sums[5] = {a, b, c, d, e};
  for (size_t i = 0; i < 5; ++i) state[i] += sums[i];
}

Digest sha1(std::string_view first, std::string_view second) {
  std::array<uint32_t, 5> state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t chunk[kChunkBytes] = {};
  size_t filled = 0;
  const auto put = [&](uint8_t byte) {
    chunk[filled++] = byte;
    if (filled < kChunkBytes) return;
    add_chunk(chunk, state);
    filled = 0;
  };
  for (const char c : first) put(static_cast<uint8_t>(c));
  for (const char c : second) put(static_cast<uint8_t>(c));
  put(0x80);
  while (filled != kChunkBytes - 8) put(0);
  const uint64_t bits = (first.size() + second.size()) * 8;
  for (int shift = 56; shift >= 0; shift -= 8) put(static_cast<uint8_t>(bits >> shift));
  Digest digest;
  for (size_t i = 0; i < kDigestBytes; ++i) {
    digest[i] = static_cast<uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  }
  return digest;
}

}  // namespace

std::string_view websocket_accept(std::string_view key, Arena& arena) {
  constexpr size_t kChars = base64_encoded(kDigestBytes);
  const Digest digest = sha1(key, kGuid);
  auto* const text = static_cast<char*>(arena.allocate(kChars, 1));
  encode_base64(digest, text);
  return {text, kChars};
}

}  // namespace weir::http
