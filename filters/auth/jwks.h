// The keys of an issuer of tokens (JWK Set, RFC 7517): which key may check what.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/tls_verify_key.h"

namespace weir::filters::auth {

// Immutable once it is shared; any thread.
class KeySet {
 public:
  // `path`: "keys[2]", or empty for the whole text. `fatal`: it cannot be meant; otherwise the key
  // is of no use here and left out, as RFC 7517 5 wants it.
  struct Fault {
    std::string path;
    std::string what;
    bool fatal = true;
  };
  static constexpr size_t kTextBytes = size_t{256} << 10;  // of a text
  // Adds the keys of a text; false where a fault is fatal. Keys for other uses than signatures are
  // left out in silence. `secrets`: "oct" keys are taken; false for what others serve to anybody.
  bool add_jwks(std::string_view text, bool secrets, std::vector<Fault>& faults);
  // A key without a name.
  void add(net::VerifyKey::Ptr key);

  // The keys that may have signed: those of the token's `kid`, and then, of a token or a key
  // without one, all that fit. Bounded, whatever the token says.
  static constexpr size_t kTriedMax = 8;
  struct Candidates {
    std::array<const net::VerifyKey*, kTriedMax> keys = {};
    size_t count = 0;
    bool known_kid = false;  // some key has the token's kid; whether it fits or not
  };
  void find_named(std::string_view kid, net::SignatureAlgorithm algorithm, Candidates& out) const;
  void find_others(std::string_view kid, net::SignatureAlgorithm algorithm, Candidates& out) const;

  size_t size() const { return keys_.size(); }
  bool fits_any(net::SignatureAlgorithm algorithm) const;

 private:
  struct Key {
    std::string kid;
    std::optional<net::SignatureAlgorithm> only;  // its `alg`
    net::VerifyKey::Ptr key;
    void offer(net::SignatureAlgorithm algorithm, Candidates& out) const;
    bool is_for(net::SignatureAlgorithm algorithm) const {
      return (!only || *only == algorithm) && key->fits(algorithm);
    }
  };
  std::vector<Key> keys_;
};

// A key set that is replaced while requests are under way. Any thread.
class KeyRing {
 public:
  // `text`: what the keys were made of; what was verified with other keys is not known any more.
  void replace(std::shared_ptr<const KeySet> keys, std::string_view text);
  std::shared_ptr<const KeySet> keys() const;  // null: none yet
  // Changes with the keys: asked for before keys(), it stands for them or older ones.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const KeySet> keys_;  // under the mutex
  std::atomic<uint64_t> version_{0};
};

}  // namespace weir::filters::auth
