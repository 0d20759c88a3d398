// Parts of a request that carry a token, or that a claim has to agree with. Pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "filters/auth/jwt_options.h"
#include "http/message.h"

namespace weir::filters::auth {

struct FoundToken {
  std::string_view token;  // empty: there is none
  bool several = false;    // in one place: who reads which of them?
};
// In the first place that has one.
FoundToken find_token(const std::vector<Part>& places, const http::HeaderList& headers);

// Whether a part of the request says what the claim does, which is not empty. A field, parameter or
// cookie that is not there says nothing that could be wrong; all that are there have to agree.
bool matches(const Part& part, std::string_view claim, const http::RequestHead& head);

}  // namespace weir::filters::auth
