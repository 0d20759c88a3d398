#include "filters/auth/authorization.h"

#include <algorithm>
#include <span>

#include "base/base64.h"
#include "base/strings.h"
#include "http/chars.h"

namespace weir::filters::auth {

Authorization find_authorization(const http::HeaderList& headers, std::string_view scheme) {
  using State = Authorization::State;
  const http::Header* only = nullptr;
  for (const http::Header& header : headers) {
    if (header.id != http::HeaderId::kAuthorization) continue;
    if (only != nullptr) return {State::kTwice, {}};
    only = &header;
  }
  if (only == nullptr) return {};
  const std::string_view value = only->value;
  size_t end = 0;
  while (end < value.size() && !is_ows(value[end])) ++end;
  if (!iequals(value.substr(0, end), scheme)) return {};
  return {State::kGiven, trim_ows(value.substr(end))};
}

std::optional<Password> parse_basic(std::string_view credentials, Arena& arena) {
  constexpr size_t kUserBytes = 256;
  if (credentials.size() > (kUserBytes + 1 + kPasswordBytes) * 4 / 3) return std::nullopt;
  const size_t max = base64_decoded_max(credentials.size());
  const std::span<char> out(static_cast<char*>(arena.allocate(max, 1)), max);
  size_t size = 0;
  if (!decode_base64(Base64::kStandard, credentials, out, size)) return std::nullopt;
  const std::string_view text(out.data(), size);
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos || http::has_control(text)) return std::nullopt;
  const Password sent = {text.substr(0, colon), text.substr(colon + 1)};
  if (sent.password.size() > kPasswordBytes) return std::nullopt;
  return sent;
}

}  // namespace weir::filters::auth
