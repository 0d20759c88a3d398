// What `weir status` and `weir reload` print: the admin's JSON as text for people. Pure. Whatever
// the JSON holds, no control character of a name reaches the terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace weir::admin {

// From the bodies of /status and /health. Fails when they are not what a weir answers.
Result<std::string> status_report(std::string_view status_json, std::string_view health_json);

struct ReloadReport {
  bool ok = false;
  std::string text;  // lines; the errors when it failed
};
// From the body of an answer to POST /reload, or of the GET.
Result<ReloadReport> reload_report(std::string_view receipt_json);

}  // namespace weir::admin
