// Any text as an Authorization field, as a user's password, as a file of users and as a hash.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/check.h"
#include "filters/auth/authorization.h"
#include "filters/auth/password.h"
#include "filters/auth/users_file.h"

namespace {

using namespace weir;
using namespace weir::filters::auth;

void check_field(std::string_view text) {
  BlockPool pool;
  Arena arena(pool);
  http::HeaderList headers(arena);
  headers.add("Authorization", text);
  const Authorization sent = find_authorization(headers, "Basic");
  WEIR_CHECK(sent.state != Authorization::State::kTwice);
  for (const std::string_view credentials : {sent.credentials, text}) {
    const std::optional<Password> found = parse_basic(credentials, arena);
    if (!found) continue;
    WEIR_CHECK(found->user.find(':') == std::string_view::npos);
    WEIR_CHECK(found->password.size() <= kPasswordBytes);
    for (const std::string_view part : {found->user, found->password}) {
      for (const char c : part) WEIR_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
  }
  headers.add("authorization", text);
  WEIR_CHECK(find_authorization(headers, "Basic").state == Authorization::State::kTwice);
}

void check_file(std::string_view text) {
  std::vector<Users::Fault> faults;
  const auto users = Users::parse(text, faults);
  WEIR_CHECK((users == nullptr) == !faults.empty());
  if (users == nullptr) return;
  const Users::Entry entry = users->find("nobody in particular");
  WEIR_CHECK(!fault_of_hash(entry.hash));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_field(text);
  check_file(text);
  fault_of_hash(text);
  return 0;
}
