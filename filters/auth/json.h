// JSON as tokens and key sets have it (RFC 8259), read strictly: one object in UTF-8, of bounded
// depth, in which no name stands twice (RFC 7515 4, RFC 7519 4: who reads which of them?).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace weir::filters::auth {

using Json = nlohmann::json;

// Nothing: it is no such object. Linear in the text, whose size the caller bounds.
std::optional<Json> parse_json_object(std::string_view text);

// A member that is text; null: there is none, or it is something else.
const std::string* text_member(const Json& object, const char* name);

}  // namespace weir::filters::auth
