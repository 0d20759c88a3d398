// security_headers: what an answer tells browsers to be careful about.
//
//   security_headers: standard            # or strict, or off
//   security_headers:                     # exactly these fields
//     Strict-Transport-Security: {max_age: 1y, include_subdomains: true}
//     X-Frame-Options: SAMEORIGIN
//   security_headers:
//     base: strict                        # those of the set, but for what is named
//     Content-Security-Policy: {value: "frame-ancestors 'none'", mode: append}
//     X-DNS-Prefetch-Control: {mode: off}
//
// On every answer, weir's own included, one line of each field: with `override` what the server
// says goes, with `set_if_absent` it stays, with `append` it is joined into one line with ours
// ("a, b", RFC 9110 5.3), which only fields that are lists allow. Strict-Transport-Security is
// for https only (RFC 6797 7.2) and goes from all other answers. Fields that tell attackers what
// runs here (Server, X-Powered-By ...) are removed, unless they are named. The nearest level that
// names the key wins whole.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "filters/registry.h"
#include "http/headers.h"
#include "proxy/template.h"

namespace weir::filters {

enum class SecurityMode : uint8_t {
  kOverride,
  kSetIfAbsent,
  kAppend,
  kRemove,  // what servers say goes, and nothing takes its place
};

struct SecurityField {
  std::string name;
  SecurityMode mode = SecurityMode::kOverride;
  proxy::Template value;  // empty with kRemove
  http::HeaderId id = http::HeaderId::kOther;
  bool https_only = false;
};

// Immutable once read; part of the snapshot. Where it was made it stays: it has views of itself.
struct SecurityHeaders {
  std::vector<SecurityField> fields;         // one per name
  std::array<uint64_t, 64> by_size = {};     // those whose names have n bytes, modulo 64, as bits
  bool constant = true;                      // no value asks for the request
  // What an answer gets that has none of them: one list, whose part from `in_clear` on is for all.
  // Their lines stand in a row, so that they are written at once.
  std::string lines;
  std::vector<http::Header> added;
  size_t in_clear = 0;
};

// Null after reporting.
std::shared_ptr<const SecurityHeaders> read_security_headers(const options::Node& value,
                                                             options::Problems& problems);

// Of an answer. `nonce_holds` is false where a body that the client has already goes with it (304):
// a fresh nonce would not be that body's.
void apply(const SecurityHeaders& edits, bool https, bool nonce_holds,
           proxy::VariableSource& variables, http::HeaderList& headers);

SettingsPtr security_headers_standard();
SettingsPtr security_headers_read(const options::Node& value, const SettingsPtr& outer,
                                  const Reading& reading);

}  // namespace weir::filters
