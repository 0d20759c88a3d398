#include "admin/admin.h"

#include <optional>
#include <string>
#include <utility>

#include "admin/access.h"
#include "admin/cache.h"
#include "admin/health.h"
#include "admin/limits.h"
#include "admin/maintenance.h"
#include "admin/metrics_text.h"
#include "admin/reload.h"
#include "admin/servers.h"
#include "admin/status.h"

namespace weir::admin {
namespace {

using proxy::LocalReply;
using proxy::StatusSource;

constexpr const char* kJson = "application/json";
constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kPrometheusText = "text/plain; version=0.0.4; charset=utf-8";

LocalReply page(int status, const char* content_type, std::string body) {
  LocalReply reply;
  reply.status = status;
  reply.headers = {{"Content-Type", content_type}, {"Cache-Control", "no-store"}};
  reply.body = std::move(body);
  return reply;
}

LocalReply json_page(JsonAnswer answer) {
  return page(answer.status, kJson, std::move(answer.body));
}

LocalReply metrics(StatusSource& source) {
  return page(200, kPrometheusText, metrics_text(source));
}
LocalReply health(StatusSource& source) { return json_page(health_json(source)); }
LocalReply live(StatusSource& source) { return json_page(live_json(source)); }
LocalReply ready(StatusSource& source) { return json_page(ready_json(source)); }
LocalReply status(StatusSource& source) { return page(200, kJson, status_json(source)); }
LocalReply config_page(StatusSource& source) {
  const std::shared_ptr<const proxy::ConfigDescription> config = source.description();
  if (config == nullptr) return page(503, kText, "nothing is loaded yet\n");
  return page(200, kJson, config->json);
}
LocalReply index(StatusSource& source);

struct Page {
  const char* path;
  const char* what;
  PageAccess access;
  LocalReply (*make)(StatusSource&);  // for GET and HEAD
};

// clang-format off
constexpr Page kPages[] = {
    {"/", "this list", {}, index},
    {"/metrics", "numbers, as Prometheus reads them", {.any_name = true}, metrics},
    {"/health", "JSON: healthy, degraded or unhealthy, server by server", {.any_name = true},
     health},
    {"/health/live", "200 as long as the process answers",
     {.open = true, .any_name = true}, live},
    {"/health/ready", "200 while it takes traffic, 503 while it drains",
     {.open = true, .any_name = true}, ready},
    {"/status", "JSON: workers, upstreams, routes, listeners, reloads", {}, status},
    {"/config", "JSON: the configuration in force, without its secrets", {}, config_page},
    {"/reload", "POST loads the file again; GET: JSON, what became of it", {.posts = true},
     last_reload},
};
// clang-format on

constexpr const char* kPostsUsage =
    "/cache          JSON: what the cache holds; ?top=N of the answers in it\n"
    "/cache/purge    POST {\"url\":\"https://...\"}, {\"prefix\":\"...\"}, {\"tag\":\"...\"} or "
    "{\"all\":true}\n"
    "                makes them void; with \"soft\":true they are validated instead\n"
    "/maintenance    JSON: what is closed; POST {\"name\":\"...\",\"state\":\"on\"} or \"off\" "
    "sets "
    "it\n"
    "/rate_limits/reset\n"
    "                POST {\"limit\":\"...\",\"key\":\"client_ip=...\"}: that key begins anew\n"
    "/upstreams/NAME/servers/ADDRESS\n"
    "                JSON: the state of a server; POST {\"state\":\"drain\"}, \"up\" or \"down\" "
    "sets it\n";

LocalReply index(StatusSource&) {
  std::string list = "weir\n\n";
  for (const Page& entry : kPages) {
    std::string line = entry.path;
    line.resize(16, ' ');
    list += line + entry.what + "\n";
  }
  list += kPostsUsage;
  return page(200, kText, std::move(list));
}

proxy::Handler handler(StatusSource& source, const Page& entry, const PageAccess& access,
                       const std::string& token) {
  return [&source, &entry, access, token](const http::RequestHead& request) {
    std::optional<LocalReply> refused = refusal_of(request, access, token);
    return refused ? std::move(*refused) : entry.make(source);
  };
}

// `show` answers GET; the filter that `set` makes, if there is one, takes POST, which has a body.
void add_page(StatusSource& source, const proxy::AdminConfig& config, proxy::Site& site,
              const char* path, proxy::PathMatch match,
              LocalReply (*show)(StatusSource&, const http::RequestHead&),
              std::shared_ptr<const proxy::FilterFactory> (*set)(StatusSource&, const PageAccess&,
                                                                 std::string)) {
  const PageAccess access = {
      .posts = set != nullptr, .any_name = config.address.is_unix(), .takes_body = set != nullptr};
  proxy::Route& route = site.routes.emplace_back();
  route.name = path;
  route.match = match;
  route.path = path;
  route.action = proxy::Action::kHandler;
  route.handler = [&source, access, show, token = config.token](const http::RequestHead& request) {
    std::optional<LocalReply> refused = refusal_of(request, access, token);
    return refused ? std::move(*refused) : show(source, request);
  };
  if (set != nullptr) route.filters.push_back(set(source, access, config.token));
  route.access_log = false;
  route.websocket = false;
}

}  // namespace

std::shared_ptr<const proxy::Snapshot> make_admin_snapshot(StatusSource& source,
                                                           const proxy::AdminConfig& config) {
  auto snapshot = std::make_shared<proxy::Snapshot>();
  snapshot->memory.refuse = false;
  proxy::ListenerConfig listener;
  listener.name = "admin";
  listener.address = config.address;
  listener.body_bytes = uint64_t{64} * 1024;  // more than any page reads
  listener.max_connections = 1000;
  listener.uses_reserve = true;  // when clients have to wait, operators look
  snapshot->listeners.push_back(std::move(listener));
  snapshot->hosts.emplace_back().add("*", 0);

  proxy::Site& site = snapshot->sites.emplace_back();
  site.hosts = {"*"};
  site.listeners = {0};
  for (const Page& entry : kPages) {
    proxy::Route& route = site.routes.emplace_back();
    route.name = entry.path;
    route.match = proxy::PathMatch::kExact;
    route.path = entry.path;
    route.action = proxy::Action::kHandler;
    PageAccess access = entry.access;
    access.any_name |= config.address.is_unix();
    route.handler = handler(source, entry, access, config.token);
    if (access.posts) route.filters.push_back(reload_on_post(source, access, config.token));
    route.access_log = false;
    route.websocket = false;
  }
  // One for all servers: which one, the path tells.
  add_page(source, config, site, kServersPath, proxy::PathMatch::kPrefix, show_server,
           set_server_on_post);
  add_page(source, config, site, kMaintenancePath, proxy::PathMatch::kExact, show_maintenances,
           set_maintenance_on_post);
  add_page(source, config, site, kCachePath, proxy::PathMatch::kExact, show_cache, nullptr);
  add_page(source, config, site, kPurgePath, proxy::PathMatch::kExact, show_purge, purge_on_post);
  add_page(source, config, site, kResetPath, proxy::PathMatch::kExact, show_reset, reset_on_post);
  site.router.build(site.routes);
  return snapshot;
}

}  // namespace weir::admin
