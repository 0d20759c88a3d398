// Any text as a token, as its parts with a good signature, and as claims: nothing but a good
// signature lets one in, and what is let in can be told to servers.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "base/check.h"
#include "filters/auth/token.h"
#include "support/tokens.h"

namespace {

using namespace weir;
using namespace weir::filters::auth;

constexpr uint64_t kNow = 1'700'000'000;

const KeySet& keys() {
  static const KeySet set = [] {
    KeySet made;
    made.add(net::VerifyKey::of_secret(test::kSecret).value());
    return made;
  }();
  return set;
}

TokenFault verify(std::string_view text, VerifiedToken& out) {
  const TokenRules rules = {.algorithms = ~0u};
  return verify_token(text, {&keys(), nullptr}, rules, kNow, out);
}

// Everything that holds is signed: the same without the last byte does not hold.
void check_any(std::string_view text) {
  VerifiedToken out;
  if (verify(text, out) != TokenFault::kNone) return;
  WEIR_CHECK(out.claims != nullptr && out.until_s > kNow);
  VerifiedToken other;
  WEIR_CHECK(verify(text.substr(0, text.size() - 1), other) != TokenFault::kNone);
}

void check_signed(std::string_view header, std::string_view payload) {
  VerifiedToken out;
  const std::string text = test::token(payload, header);
  if (verify(text, out) != TokenFault::kNone) return;
  WEIR_CHECK(header.find("HS256") != std::string_view::npos ||
             header.find("\\u") != std::string_view::npos);
  if (const auto* subject = out.claims->find("sub")) {
    WEIR_CHECK(subject->text.find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_any(text);
  const size_t border = text.find('\n');
  if (border == std::string_view::npos) {
    check_signed(R"({"alg":"HS256"})", text);
  } else {
    check_signed(text.substr(0, border), text.substr(border + 1));
  }
  return 0;
}
