// What it costs to verify a token that is not known yet, beside OpenSSL's part of it.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::micro {

// Prints two lines, "rs256, openssl" and "rs256, cold", unless `only` is another word than "rs256".
// Each round verifies so often.
void run_tokens(uint64_t tokens, int rounds, std::string_view only);

}  // namespace weir::micro
