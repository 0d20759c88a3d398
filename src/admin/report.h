// What `weir status`, `weir reload`, `weir drain`, `weir purge` and `weir reset` print: the admin's
// JSON as text for people. Pure. Whatever the JSON holds, no control character of a name reaches
// the terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "proxy/purge_order.h"

namespace weir::admin {

// From the bodies of /status and /health. Fails when they are not what a weir answers.
Result<std::string> status_report(std::string_view status_json, std::string_view health_json);

struct ReloadReport {
  bool ok = false;
  std::string text;  // lines; the errors when it failed
};
// From the body of an answer to POST /reload, or of the GET.
Result<ReloadReport> reload_report(std::string_view receipt_json);

// From the body of an answer about one server: its state in a line and what to beware of in
// another, or why there is no such server.
Result<std::string> server_report(std::string_view server_json);

// The body of POST /cache/purge, and from the body of its answer how many answers were hit, or what
// was wrong.
std::string purge_json(const proxy::PurgeOrder& order);
Result<std::string> purge_report(std::string_view answer_json);

// The same for POST /rate_limits/reset.
std::string reset_json(const std::string& limit, const std::string& key);
Result<std::string> reset_report(std::string_view answer_json);

}  // namespace weir::admin
