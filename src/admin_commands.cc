#include "admin_commands.h"

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "admin/report.h"
#include "proxy/purge_order.h"

namespace weir {

namespace {

constexpr uint64_t kStatusMs = 10'000;
constexpr uint64_t kPurgeMs = 60'000;   // much may match
constexpr uint64_t kReloadMs = 75'000;  // longer than the daemon itself lets a reload wait

int fail(const std::string& why) {
  std::fprintf(stderr, "weir: %s\n", why.c_str());
  return 1;
}

std::string refusal_text(const admin::Target& target, const admin::Answer& answer) {
  if (answer.status == 401) {
    return target.address + (target.token.empty() ? " wants a token: --token or WEIR_ADMIN_TOKEN"
                                                  : " does not take this token");
  }
  return target.address + " answered " + std::to_string(answer.status);
}

// The body of a page, or a sentence for the user.
Result<std::string> get(const admin::Target& target, const char* path, bool any_health) {
  Result<admin::Answer> answer = admin::ask(target, "GET", path, kStatusMs);
  if (!answer.ok()) return Result<std::string>::failure(answer.error());
  const int status = answer.value().status;
  if (status == 200 || (any_health && status == 503)) return std::move(answer.value().body);
  return Result<std::string>::failure(refusal_text(target, answer.value()));
}

// As one segment of a path.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:";
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

struct Post {
  const char* path;
  std::string json;
  uint64_t wait_ms;
};

// 1 where it was refused, with the reason that `report` finds in the answer.
int post_and_print(const admin::Target& target, const Post& post,
                   Result<std::string> (*report)(std::string_view)) {
  Result<admin::Answer> answer = admin::ask(target, "POST", post.path, post.wait_ms, post.json);
  if (!answer.ok()) return fail(answer.error());
  const int status = answer.value().status;
  const bool explained = status == 400 || status == 404 || status == 413 || status == 503;
  if (status != 200 && !explained) return fail(refusal_text(target, answer.value()));
  Result<std::string> text = report(answer.value().body);
  if (!text.ok()) return fail(target.address + ": " + text.error());
  if (status != 200) return fail(text.value());
  std::fputs(text.value().c_str(), stdout);
  return 0;
}

Result<proxy::PurgeOrder> order_of(const PurgeRequest& request) {
  using What = proxy::PurgeOrder::What;
  if (request.all) return proxy::make_order(What::kAll, "", request.soft);
  if (!request.tag.empty()) return proxy::make_order(What::kTag, request.tag, request.soft);
  if (!request.prefix.empty()) {
    return proxy::make_order(What::kPrefix, request.prefix, request.soft);
  }
  return proxy::make_order(What::kUrl, request.url, request.soft);
}

}  // namespace

int print_status(const admin::Target& target) {
  Result<std::string> status = get(target, "/status", false);
  if (!status.ok()) return fail(status.error());
  Result<std::string> health = get(target, "/health", true);
  if (!health.ok()) return fail(health.error());
  Result<std::string> report = admin::status_report(status.value(), health.value());
  if (!report.ok()) return fail(target.address + ": " + report.error());
  std::fputs(report.value().c_str(), stdout);
  return 0;
}

int print_live(const admin::Target& target) {
  Result<std::string> answer = get(target, "/health/live", false);
  if (!answer.ok()) return fail(answer.error());
  std::fputs(answer.value().c_str(), stdout);
  return 0;
}

int reload_and_print(const admin::Target& target) {
  Result<admin::Answer> answer = admin::ask(target, "POST", "/reload", kReloadMs);
  if (!answer.ok()) return fail(answer.error());
  switch (answer.value().status) {
    case 200:
    case 202:
    case 409:
    case 422: break;
    default: return fail(refusal_text(target, answer.value()));
  }
  Result<admin::ReloadReport> report = admin::reload_report(answer.value().body);
  if (!report.ok()) return fail(target.address + ": " + report.error());
  std::fputs(report.value().text.c_str(), report.value().ok ? stdout : stderr);
  return report.value().ok ? 0 : 1;
}

int set_server_and_print(const admin::Target& target, const ServerOrder& order) {
  const std::string path =
      "/upstreams/" + percent_encoded(order.upstream) + "/servers/" + percent_encoded(order.server);
  const std::string json = std::string("{\"state\":\"") + order.state + "\"}";
  Result<admin::Answer> answer = admin::ask(target, "POST", path, kStatusMs, json);
  if (!answer.ok()) return fail(answer.error());
  const int status = answer.value().status;
  if (status != 200 && status != 404) return fail(refusal_text(target, answer.value()));
  Result<std::string> report = admin::server_report(answer.value().body);
  if (!report.ok()) return fail(target.address + ": " + report.error());
  if (status == 404) return fail(report.value());
  std::fputs(report.value().c_str(), stdout);
  return 0;
}

int purge_and_print(const admin::Target& target, const PurgeRequest& request) {
  Result<proxy::PurgeOrder> order = order_of(request);
  if (!order.ok()) return fail(order.error());
  const Post post = {"/cache/purge", admin::purge_json(order.value()), kPurgeMs};
  return post_and_print(target, post, admin::purge_report);
}

int reset_and_print(const admin::Target& target, const ResetRequest& request) {
  const Post post = {"/rate_limits/reset", admin::reset_json(request.limit, request.key),
                     kStatusMs};
  return post_and_print(target, post, admin::reset_report);
}

}  // namespace weir
