// Any text as a set of keys: a key is for the algorithms of one type, and no secret is taken from
// what everybody can read.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "filters/auth/jwks.h"

namespace {

using namespace weir;
using namespace weir::filters::auth;
using net::SignatureAlgorithm;

void check_keys(std::string_view text, bool secrets) {
  KeySet keys;
  std::vector<KeySet::Fault> faults;
  keys.add_jwks(text, secrets, faults);
  for (size_t i = 0; i < net::kSignatureAlgorithms; ++i) {
    const auto algorithm = static_cast<SignatureAlgorithm>(i);
    for (const std::string_view kid : {std::string_view(), std::string_view("1")}) {
      KeySet::Candidates found;
      keys.find_named(kid, algorithm, found);
      keys.find_others(kid, algorithm, found);
      WEIR_CHECK(found.count <= KeySet::kTriedMax && found.count <= keys.size());
      for (size_t k = 0; k < found.count; ++k) {
        const net::VerifyKey& key = *found.keys[k];
        WEIR_CHECK(key.fits(algorithm));
        WEIR_CHECK(key.is_secret() == net::name_of(algorithm).starts_with("HS"));
        WEIR_CHECK(secrets || !key.is_secret());
        WEIR_CHECK(!key.verify(algorithm, "message", "signature"));
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_keys(text, true);
  check_keys(text, false);
  return 0;
}
