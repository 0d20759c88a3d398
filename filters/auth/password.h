// Hashes of passwords as libcrypt makes them: bcrypt, yescrypt, sha256crypt, sha512crypt.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::filters::auth {

struct HashFault {
  std::string what;
  std::string hint;
};

// Why a stored hash cannot be used, or nothing. What it costs to check is bounded by that, too: 64
// MiB and about a second.
std::optional<HashFault> fault_of_hash(std::string_view stored);

// Takes as long as `stored` was made to take: never on a worker's thread. Any other thread.
bool is_password(const std::string& password, const std::string& stored);

}  // namespace weir::filters::auth
