#include "filters/auth/password.h"

#include <crypt.h>
#include <string.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "base/strings.h"

namespace weir::filters::auth {

namespace {

constexpr std::string_view kDigits64 =
    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr const char* kHowTo = "make one with htpasswd -B or mkpasswd -m yescrypt";

HashFault broken(const char* kind) { return {std::string("holds a broken ") + kind, kHowTo}; }

HashFault dear(const char* kind, const char* most) {
  return {std::string("holds a ") + kind + " that is too dear to check",
          std::string("at most ") + most};
}

bool is_digits64(std::string_view text, size_t min, size_t max) {
  return text.size() >= min && text.size() <= max &&
         text.find_first_not_of(kDigits64) == std::string_view::npos;
}

// "$2b$12$" and 22 characters of salt with 31 of the hash.
std::optional<HashFault> fault_of_bcrypt(std::string_view rest) {
  constexpr uint64_t kCostMax = 14;
  uint64_t cost = 0;
  if (rest.size() != 56 || rest[2] != '$' || !parse_u64(rest.substr(0, 2), cost) ||
      !is_digits64(rest.substr(3), 53, 53) || cost < 4) {
    return broken("bcrypt hash");
  }
  if (cost > kCostMax) return dear("bcrypt hash", "cost 14");
  return std::nullopt;
}

// "$5$rounds=5000$salt$hash"
std::optional<HashFault> fault_of_sha(std::string_view rest, const char* kind, size_t hash_chars) {
  constexpr std::string_view kRounds = "rounds=";
  constexpr uint64_t kRoundsMax = 1'000'000;
  if (rest.starts_with(kRounds)) {
    const size_t end = std::min(rest.find('$'), rest.size());
    uint64_t rounds = 0;
    if (!parse_u64(rest.substr(kRounds.size(), end - kRounds.size()), rounds)) return broken(kind);
    if (rounds > kRoundsMax) return dear(kind, "rounds=1000000");
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const size_t salt = rest.find('$');
  if (salt == std::string_view::npos || salt > 16 ||
      !is_digits64(rest.substr(salt + 1), hash_chars, hash_chars)) {
    return broken(kind);
  }
  return std::nullopt;
}

// "$y$j9T$salt$hash": j for how it is used, then the logarithm of N less 1, then r less 1.
std::optional<HashFault> fault_of_yescrypt(std::string_view rest) {
  constexpr size_t kLogMax = 13;  // 64 MiB with an r of 32: mkpasswd -R 7
  constexpr size_t kBlocksMax = 31;
  const std::string_view parameters = rest.substr(0, rest.find('$'));
  if (parameters.size() != 3 || parameters[0] != 'j' || !is_digits64(parameters, 3, 3)) {
    return broken("yescrypt hash");
  }
  rest.remove_prefix(std::min(parameters.size() + 1, rest.size()));
  const size_t salt = rest.find('$');
  if (salt == std::string_view::npos || !is_digits64(rest.substr(0, salt), 1, 86) ||
      !is_digits64(rest.substr(salt + 1), 43, 43)) {
    return broken("yescrypt hash");
  }
  if (kDigits64.find(parameters[1]) > kLogMax || kDigits64.find(parameters[2]) > kBlocksMax) {
    return dear("yescrypt hash", "mkpasswd -R 7");
  }
  return std::nullopt;
}

std::optional<HashFault> fault_of_other(std::string_view stored) {
  if (stored.starts_with("$apr1$")) return HashFault{"holds an apr1 hash: MD5 is too weak", kHowTo};
  if (stored.starts_with("$1$")) return HashFault{"holds an MD5 hash: MD5 is too weak", kHowTo};
  if (stored.starts_with("{SHA}") || stored.starts_with("{SSHA}")) {
    return HashFault{"holds a SHA-1 hash, which is too weak", kHowTo};
  }
  if (stored.empty()) return HashFault{"holds no hash", kHowTo};
  return HashFault{"holds no hash of bcrypt, yescrypt, sha256crypt or sha512crypt", kHowTo};
}

// In a time that does not tell how much of it is right.
bool is_same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

}  // namespace

std::optional<HashFault> fault_of_hash(std::string_view stored) {
  for (const std::string_view prefix : {"$2a$", "$2b$", "$2y$"}) {
    if (stored.starts_with(prefix)) return fault_of_bcrypt(stored.substr(prefix.size()));
  }
  if (stored.starts_with("$y$")) return fault_of_yescrypt(stored.substr(3));
  if (stored.starts_with("$5$")) return fault_of_sha(stored.substr(3), "sha256crypt hash", 43);
  if (stored.starts_with("$6$")) return fault_of_sha(stored.substr(3), "sha512crypt hash", 86);
  return fault_of_other(stored);
}

bool is_password(const std::string& password, const std::string& stored) {
  const auto data = std::make_unique<crypt_data>();  // 32 KiB, zeroed
  const char* const hash = crypt_r(password.c_str(), stored.c_str(), data.get());
  const bool same = hash != nullptr && is_same(hash, stored);
  explicit_bzero(data.get(), sizeof(*data));
  return same;
}

}  // namespace weir::filters::auth
