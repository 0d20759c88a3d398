#include "http/set_cookie.h"

#include "base/strings.h"

namespace weir::http {

void add_cookie(HeaderList& headers, std::string_view name, std::string_view value,
                uint64_t max_age_s, bool secure) {
  char digits[20];
  const std::string_view age = {digits, format_u64(max_age_s, digits)};
  headers.add("Set-Cookie",
              headers.arena().concat({name, "=", value, "; Path=/; Max-Age=", age,
                                      "; HttpOnly; SameSite=Lax", secure ? "; Secure" : ""}));
}

}  // namespace weir::http
