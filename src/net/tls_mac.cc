// The plain functions of SHA-256 are old, but a state is a value there: the two of a key are made
// once and copied. By way of EVP each tag would cost two allocations.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "net/tls_mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/rng.h"

namespace weir::net {

namespace {

using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

Digest derive(std::string_view secret, std::string_view purpose) {
  Digest digest;
  const auto* const message = reinterpret_cast<const uint8_t*>(purpose.data());
  WEIR_CHECK(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), message,
                  purpose.size(), digest.data(), nullptr) != nullptr);
  return digest;
}

// RFC 2104: what stands before the message, or before its digest.
SHA256_CTX begin_with(const Digest& key, uint8_t pad) {
  std::array<uint8_t, SHA256_CBLOCK> block;
  block.fill(pad);
  for (size_t i = 0; i < key.size(); ++i) block[i] ^= key[i];
  SHA256_CTX state;
  SHA256_Init(&state);
  SHA256_Update(&state, block.data(), block.size());
  return state;
}

}  // namespace

struct MacKey::Pads {
  explicit Pads(const Digest& key) : inner(begin_with(key, 0x36)), outer(begin_with(key, 0x5c)) {}
  SHA256_CTX inner;
  SHA256_CTX outer;
};

MacKey::MacKey(std::string_view secret, std::string_view purpose)
    : pads_(std::make_unique<const Pads>(derive(secret, purpose))) {}

MacKey::~MacKey() = default;

MacKey::Tag MacKey::tag(std::string_view message) const {
  Digest digest;
  SHA256_CTX state = pads_->inner;
  SHA256_Update(&state, message.data(), message.size());
  SHA256_Final(digest.data(), &state);
  state = pads_->outer;
  SHA256_Update(&state, digest.data(), digest.size());
  SHA256_Final(digest.data(), &state);
  Tag tag;
  std::copy_n(digest.begin(), tag.size(), tag.begin());
  return tag;
}

bool MacKey::equal(const Tag& a, const Tag& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view process_secret() {
  static const std::string secret = [] {
    RandomPool random;
    std::string bytes(SHA256_DIGEST_LENGTH, '\0');
    random.fill(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
    return bytes;
  }();
  return secret;
}

}  // namespace weir::net
