#include "net/tls_mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "base/check.h"
#include "base/rng.h"

namespace weir::net {

namespace {

struct FreeContext {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MAC_CTX, FreeContext>;

constexpr size_t kDigestBytes = 32;
using Digest = std::array<uint8_t, kDigestBytes>;

const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

ContextPtr make_context(std::string_view key) {
  static EVP_MAC* const kind = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  WEIR_CHECK(kind != nullptr);
  ContextPtr context(EVP_MAC_CTX_new(kind));
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("digest", digest, 0),
                               OSSL_PARAM_construct_end()};
  WEIR_CHECK(context != nullptr &&
             EVP_MAC_init(context.get(), bytes_of(key), key.size(), params) == 1);
  return context;
}

// A context has its key scheduled: it is used again and again, and has just been initialised.
Digest finish(EVP_MAC_CTX* context, std::string_view message) {
  Digest digest;
  size_t written = 0;
  WEIR_CHECK(EVP_MAC_update(context, bytes_of(message), message.size()) == 1 &&
             EVP_MAC_final(context, digest.data(), &written, digest.size()) == 1 &&
             written == digest.size());
  return digest;
}

std::string derive(std::string_view secret, std::string_view purpose) {
  const Digest digest = finish(make_context(secret).get(), purpose);
  return {digest.begin(), digest.end()};
}

// Of the keys that a thread used last. More keys than places are right as well, only slower.
struct Scheduled {
  uint64_t serial = 0;
  ContextPtr context;
};
constexpr size_t kScheduled = 32;
thread_local std::array<Scheduled, kScheduled> scheduled;

}  // namespace

MacKey::MacKey(std::string_view secret, std::string_view purpose) : key_(derive(secret, purpose)) {
  static std::atomic<uint64_t> keys{0};
  serial_ = ++keys;
}

MacKey::Tag MacKey::tag(std::string_view message) const {
  Scheduled& place = scheduled[serial_ % kScheduled];
  if (place.serial != serial_) {
    place.context = make_context(key_);
    place.serial = serial_;
  } else {
    WEIR_CHECK(EVP_MAC_init(place.context.get(), nullptr, 0, nullptr) == 1);
  }
  const Digest digest = finish(place.context.get(), message);
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
    std::string bytes(kDigestBytes, '\0');
    random.fill(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
    return bytes;
  }();
  return secret;
}

}  // namespace weir::net
