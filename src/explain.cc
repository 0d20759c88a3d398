#include "explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/escape.h"
#include "base/limits.h"
#include "base/strings.h"
#include "http/h1_parser.h"
#include "http/params.h"
#include "http/rules.h"
#include "http/url.h"
#include "proxy/files/find.h"
#include "proxy/files/path.h"
#include "proxy/https_redirect.h"
#include "proxy/split.h"
#include "upstream/sticky.h"

namespace weir {

namespace {

using http::Url;
using proxy::Condition;
using proxy::PathMatch;
using proxy::Route;

constexpr size_t kOtherPathsShown = 20;  // routes that are named though their path is another

// On one line, with the backslashes of patterns as they are written.
std::string escaped(std::string_view text) {
  std::string out(text.size() * kEscapedMax, '\0');
  char* const end = escape_text(text, out.data());
  out.resize(static_cast<size_t>(end - out.data()));
  return out;
}

std::string quote(std::string_view text) { return '"' + escaped(text) + '"'; }

// The request as templates see it; what only a real one has stays a variable.
class ExplainedRequest final : public proxy::VariableSource {
 public:
  ExplainedRequest(const Url& url, const http::RequestHead& head, const Route& route,
                   std::string_view path)
      : url_(url), head_(head), route_(route) {
    if (route.regex != nullptr) route.regex->capture(path, captures_);
  }

  std::string_view variable(proxy::Variable variable, Arena& arena) override {
    switch (variable) {
      case proxy::Variable::kScheme: return url_.scheme;
      case proxy::Variable::kHost: return head_.host;
      case proxy::Variable::kUri: return head_.target;
      case proxy::Variable::kPath: return head_.path;
      case proxy::Variable::kQuery: return head_.query;
      case proxy::Variable::kClientIp: return "$client_ip";
      case proxy::Variable::kRequestId: return "$request_id";
      case proxy::Variable::kUpstream: return {};
      case proxy::Variable::kStatus: return arena.copy(std::to_string(route_.status));
      case proxy::Variable::kMethod: return head_.method_text;
      case proxy::Variable::kCspNonce: return "$csp_nonce";
    }
    return {};
  }
  std::string_view capture(size_t index) override { return captures_[index]; }

 private:
  const Url& url_;
  const http::RequestHead& head_;
  const Route& route_;
  std::array<std::string_view, limits::kCapturesMax + 1> captures_;
};

std::string why_other_path(const Route& route) {
  switch (route.match) {
    case PathMatch::kExact: return "the path is not " + route.path;
    case PathMatch::kSegment: return "the path is neither " + route.path + " nor below it";
    case PathMatch::kPrefix: return "the path does not begin with " + route.path;
    case PathMatch::kRegex: return "the path does not match " + quote(route.regex->pattern());
  }
  return {};
}

bool has_name(const Condition& condition, const http::RequestHead& head) {
  bool found = false;
  switch (condition.kind) {
    case Condition::Kind::kHeader: return head.headers.find(condition.name) != nullptr;
    case Condition::Kind::kQuery:
      http::for_each_parameter(head.query, [&](std::string_view name, std::string_view) {
        found = found || http::equals_decoded(name, condition.name);
      });
      break;
    case Condition::Kind::kCookie:
      http::for_each_cookie(head.headers, [&](std::string_view name, std::string_view) {
        found = found || name == condition.name;
      });
      break;
  }
  return found;
}

std::string why_conditions_fail(const Route& route, const http::RequestHead& head) {
  if (!route.conditions.take_method(head.method)) {
    return fmt::format("the method is not one of {}", http::method_list(route.conditions.methods));
  }
  const Condition* failing = route.conditions.first_failing(head);
  constexpr std::string_view kKinds[] = {"header", "query parameter", "cookie"};
  return fmt::format("{} {} {}", kKinds[static_cast<size_t>(failing->kind)], quote(failing->name),
                     has_name(*failing, head) ? "has another value" : "is missing");
}

// The most precise of the site's names that covers the host: how HostIndex chose it.
std::string_view claim_of(const proxy::Site& site, std::string_view host) {
  std::string_view best;
  for (const std::string& name : site.hosts) {
    if (name == host) return name;
    const bool wild = name.starts_with("*.") && host.ends_with(name.substr(1));
    if ((wild && name.size() > best.size()) || (name == "*" && best.empty())) best = name;
  }
  return best;
}

std::string check_text(const upstream::CheckConfig& check) {
  switch (check.type) {
    case upstream::CheckType::kHttp: return "GET " + check.path;
    case upstream::CheckType::kTcp: return "by a connection";
    case upstream::CheckType::kGrpc: break;
  }
  return "by grpc.health.v1";
}

// "on connect, reset, 503"
std::string reasons_text(const upstream::RetryConfig& retry) {
  constexpr std::pair<uint8_t, const char*> kWords[] = {
      {upstream::RetryConfig::kConnect, "connect"},
      {upstream::RetryConfig::kReset, "reset"},
      {upstream::RetryConfig::kTimeout, "timeout"},
  };
  std::string out;
  for (const auto& [reason, word] : kWords) {
    if ((retry.reasons & reason) != 0) out += (out.empty() ? "on " : ", ") + std::string(word);
  }
  for (int status = retry.kStatusMin; status <= retry.kStatusMax; ++status) {
    if (retry.lists(status)) out += (out.empty() ? "on " : ", ") + std::to_string(status);
  }
  return out;
}

const char* balance_name(upstream::Balance balance) {
  switch (balance) {
    case upstream::Balance::kLeastConn: return "least_conn";
    case upstream::Balance::kRoundRobin: return "round_robin";
    case upstream::Balance::kRandomTwo: return "random_two";
    case upstream::Balance::kHash: return "hash, by its hash_key";
  }
  return "";
}

class Explainer {
 public:
  Explainer(const proxy::Snapshot& snapshot, const ExplainRequest& asked)
      : snapshot_(snapshot), asked_(asked), head_(arena_) {}

  Explanation run() {
    out_.taken = parse() && match();
    return std::move(out_);
  }

 private:
  // Continuation lines have no title. What the request says may be meant for a terminal.
  void line(std::string_view title, std::string_view text) {
    out_.text += fmt::format("{:<10} {}\n", title, escaped(text));
  }
  bool refuse(std::string_view text) {
    line("answer", text);
    return false;
  }

  bool parse();
  std::string connect_target() const {  // RFC 9112 3.2.3: host and port
    const std::string_view host = url_.authority.substr(0, url_.authority.rfind(':'));
    const bool has_port = host.size() < url_.authority.size() && !url_.authority.ends_with(']');
    return fmt::format("{}:{}", has_port ? host : url_.authority, url_.port);
  }
  uint32_t choose_listener(std::string_view host);
  bool match();
  void show_routes(const proxy::Site& site, const Route* taken, std::string_view path);
  void show_filters(const proxy::Snapshot::Match& found);
  bool show_action(const Route& route, std::string_view path);
  bool show_files(const proxy::files::Files& files, const Route& route, std::string_view path);
  void show_split(const Route& route, std::string_view path);
  void show_upstream(const upstream::Cluster& cluster);
  void show_mirror(const Route& route);
  void show_retry(const upstream::RetryConfig& retry);
  void show_hedge(const upstream::Cluster& cluster);
  std::string place_of(const proxy::Site& site) const {
    return fmt::format("sites[{}]", &site - snapshot_.sites.data());
  }

  const proxy::Snapshot& snapshot_;
  const ExplainRequest& asked_;
  Explanation out_;
  BlockPool pool_;
  Arena arena_{pool_};
  http::RequestHead head_;
  Url url_;
  uint32_t listener_ = 0;
};

bool Explainer::parse() {
  line("request", asked_.method + " " + asked_.url);
  const std::optional<Url> url = http::parse_url(asked_.url);
  if (!url) return refuse("none: the URL must be http://host[:port]/path?query");
  url_ = *url;
  std::string_view authority = url_.authority;
  std::string text = fmt::format("{} {} HTTP/1.1\r\n", asked_.method,
                                 asked_.method == "CONNECT" ? connect_target() : url_.target);
  std::string fields;
  for (const std::string& header : asked_.headers) {
    if (header.find(':') == std::string::npos) {
      return refuse(fmt::format("none: {} is not a header; as in 'Name: value'", quote(header)));
    }
    const std::string_view name = std::string_view(header).substr(0, header.find(':'));
    if (iequals(name, "host")) {
      authority = trim_ows(std::string_view(header).substr(name.size() + 1));
    } else {
      fields += header + "\r\n";
    }
  }
  text += fmt::format("Host: {}\r\n{}\r\n", authority, fields);
  listener_ = choose_listener(http::host_of(authority, arena_));
  const http::HeadLimits& limits = snapshot_.listeners[listener_].limits;
  http::HeadScan scan = http::scan_head(text, 0, true, limits);
  if (!scan.refusal && scan.end == text.size()) {
    http::H1Parser parser;
    scan.refusal = parser.parse_request(arena_.copy(text), limits, head_);
  } else if (!scan.refusal) {
    scan.refusal = {400, "not one request"};
  }
  if (!scan.refusal) return true;
  return refuse(fmt::format("{}: {}", scan.refusal.status, scan.refusal.reason));
}

// That of the URL's port; of several, the first that serves the host.
uint32_t Explainer::choose_listener(std::string_view host) {
  const auto count = static_cast<uint32_t>(snapshot_.listeners.size());
  const auto has_port = [&](uint32_t i) {
    const net::SocketAddress& address = snapshot_.listeners[i].address;
    return !address.is_unix() && address.port() == url_.port;
  };
  const auto first = [&](bool of_port, bool serving) {
    uint32_t i = 0;
    while (i < count && ((of_port && !has_port(i)) ||
                         (serving && snapshot_.hosts[i].find(host) == UINT32_MAX))) {
      ++i;
    }
    return i;
  };
  uint32_t chosen = first(true, true);
  if (chosen == count) chosen = first(true, false);
  std::string why = fmt::format("has port {}", url_.port);
  if (chosen == count) {
    why = fmt::format("none has port {}; the first that serves the host", url_.port);
    chosen = first(false, true);
  }
  if (chosen == count) {
    why = fmt::format("none has port {} or serves the host; the first", url_.port);
    chosen = 0;
  }
  const proxy::ListenerConfig& listener = snapshot_.listeners[chosen];
  line("listener", fmt::format("{} at {}: {}", listener.name, listener.address.text(), why));
  return chosen;
}

bool Explainer::match() {
  if (head_.method == http::Method::kConnect) return refuse("405: weir passes no CONNECT on");
  const proxy::Snapshot::Match found = snapshot_.match(listener_, head_, arena_);
  if (found.path.empty()) return refuse("400: the path is broken or climbs out");
  if (found.site == nullptr) return refuse(fmt::format("421: no site claims {}", head_.host));
  const proxy::Site& site = *found.site;
  line("site", fmt::format("{}: {} claims {}", place_of(site), quote(claim_of(site, head_.host)),
                           head_.host));
  line("path", found.path == head_.path
                   ? std::string(found.path)
                   : fmt::format("{}, normalised from {}", found.path, head_.path));
  show_routes(site, found.route, found.path);
  show_filters(found);
  if (head_.method == http::Method::kTrace) return refuse("405: weir passes no TRACE on");
  if (snapshot_.listeners[listener_].redirect_https && url_.scheme != "https" &&
      !proxy::is_exempt_from_https(found.route, found.path)) {
    line("action",
         fmt::format("redirect_https {} to {}", proxy::https_redirect_status(head_.method),
                     proxy::https_location(site, head_, arena_)));
    return true;
  }
  if (found.route != nullptr) return show_action(*found.route, found.path);
  const http::MethodSet others = site.router.other_methods(site.routes, head_, found.path);
  if (others == 0) return refuse("404: no route takes it");
  return refuse(
      fmt::format("405: no route takes the method; Allow: {}", http::method_list(others)));
}

void Explainer::show_routes(const proxy::Site& site, const Route* taken, std::string_view path) {
  std::string_view title = "routes";
  const auto show = [&](const std::string& text) {
    line(title, text);
    title = "";
  };
  size_t other_paths = 0;
  for (const Route& route : site.routes) {
    std::string why = "takes it";
    if (&route != taken) {
      const bool other_path = !takes_path(route, path);
      if (other_path && ++other_paths > kOtherPathsShown) continue;
      why = other_path ? why_other_path(route) : why_conditions_fail(route, head_);
    } else if (other_paths > kOtherPathsShown) {
      show(fmt::format("{} more with other paths", other_paths - kOtherPathsShown));
    }
    show(fmt::format("{}.routes[{}] {}: {}", place_of(site), &route - site.routes.data(),
                     quote(route.name), why));
    if (&route == taken) return;
  }
  if (other_paths > kOtherPathsShown) {
    show(fmt::format("{} more with other paths", other_paths - kOtherPathsShown));
  }
}

void Explainer::show_filters(const proxy::Snapshot::Match& found) {
  const proxy::FilterChain& chain =
      found.route != nullptr ? found.route->filters : found.site->filters;
  std::string names;
  for (const auto& filter : chain) {
    names += (names.empty() ? "" : ", ") + std::string(filter->name());
  }
  line("filters", names.empty() ? "none" : names);
  std::string_view route = "unmatched";
  if (found.route != nullptr) route = found.route->name;
  const proxy::Explained asked = {head_,       url_.scheme, found.path,
                                  found.route, route,       snapshot_.tier_object_bytes};
  for (const auto& filter : chain) {
    std::string_view title = filter->name();
    for (const std::string& text : filter->explain(asked)) {
      line(title, text);
      title = "";
    }
  }
}

bool Explainer::show_action(const Route& route, std::string_view path) {
  ExplainedRequest request(url_, head_, route, path);
  switch (route.action) {
    case proxy::Action::kUpstream:
      if (!head_.upgrade.empty() && !route.websocket) {
        return refuse("403: the route has websocket: false");
      }
      if (route.rewrite != nullptr) {
        const auto target = route.rewrite->apply(path, head_.query, request, arena_);
        if (target.target.empty()) return refuse("400: the rewritten path may not be sent");
        line("rewrite", fmt::format("{} is sent as {}", head_.target, target.target));
      }
      if (route.split != nullptr) {
        show_split(route, path);
      } else {
        show_upstream(*route.cluster);
      }
      if (route.mirror != nullptr) show_mirror(route);
      return true;
    case proxy::Action::kRespond:
      line("action", fmt::format("respond {}", route.status));
      for (const auto& [name, value] : route.respond_headers) {
        line("", fmt::format("{}: {}", name, value.render(request, arena_)));
      }
      if (!route.body.empty()) line("", quote(route.body.render(request, arena_)));
      return true;
    case proxy::Action::kRedirect:
      line("action", fmt::format("redirect {} to {}", route.status,
                                 route.redirect_to.render(request, arena_)));
      return true;
    case proxy::Action::kFiles: return show_files(*route.files, route, path);
    case proxy::Action::kHandler: break;
  }
  return true;
}

// Which file it is now, as a worker would look for it.
bool Explainer::show_files(const proxy::files::Files& files, const Route& route,
                           std::string_view path) {
  line("action", fmt::format("files of {}{}", files.root->path(),
                             files.root->follows_links() ? ", with links that stay in it" : ""));
  if (head_.method == http::Method::kOptions) return refuse("200: OPTIONS names the methods");
  if (head_.method != http::Method::kGet && head_.method != http::Method::kHead) {
    return refuse("405: files are read only; Allow: GET, HEAD");
  }
  const auto name = proxy::files::name_below(route, path, files.shows_well_known, arena_);
  if (!name) return refuse("404: no file has such a name");
  const http::AcceptEncoding accept{http::CacheFields(head_.headers)};
  const auto found = proxy::files::find(files, {*name, path, accept}, true);
  line("", fmt::format("name {}", name->empty() ? "of the folder itself" : quote(*name)));
  switch (found.kind) {
    case proxy::files::Finding::Kind::kFile:
      line("", fmt::format("a file of {} bytes, {}{}{}", found.file.size_bytes, found.type,
                           found.encoding == http::Encoding::kIdentity ? "" : ", its sibling in ",
                           found.encoding == http::Encoding::kIdentity
                               ? std::string_view()
                               : http::encoding_name(found.encoding)));
      return true;
    case proxy::files::Finding::Kind::kListing: line("", "a folder, listed"); return true;
    case proxy::files::Finding::Kind::kSlash: return refuse("301: a folder; to itself with a /");
    case proxy::files::Finding::Kind::kForbidden: return refuse("403: it may not be read");
    case proxy::files::Finding::Kind::kMissing: return refuse("404: no such file");
    default: return refuse("500: it cannot be read");
  }
}

// Who decides, the shares, and where this request goes if that can be told without its client.
void Explainer::show_split(const Route& route, std::string_view path) {
  const proxy::Split& split = *route.split;
  std::string shares;
  for (const proxy::SplitTarget& target : split.to) {
    shares += fmt::format("{}{} {:g} %", shares.empty() ? "" : ", ", target.cluster->name,
                          target.buckets * 100.0 / proxy::kSplitBuckets);
  }
  line("split",
       fmt::format("{}, by {}: {}", quote(split.name),
                   split.key_text.empty() ? "cookie:" + split.cookie : split.key_text, shares));
  if (split.rollback_rule) {
    const upstream::RollbackConfig& rule = *split.rollback_rule;
    std::string limits;
    if (rule.error_rate_over > 0) {
      limits = fmt::format("errors {:g} points", rule.error_rate_over * 100);
    }
    if (rule.p95_over > 0) {
      limits += fmt::format("{}p95 {:g} %", limits.empty() ? "" : " or ", rule.p95_over * 100);
    }
    line("", fmt::format("rolled back when {} above {}'s, within {} ms", limits,
                         split.to.front().cluster->name, rule.window_ms));
  }
  const bool by_client = split.key.source == upstream::HashKey::Source::kClientIp;
  const auto choice = proxy::choose_side(split, head_, {}, path);
  using Why = proxy::SplitChoice::Why;
  const bool named = choice && (choice->why == Why::kHeader || choice->why == Why::kCookie);
  if (!choice || (by_client && !named)) {
    line("", choice ? "which of them, the client's address says"
                    : fmt::format("no key: one is drawn, and kept by the cookie {}", split.cookie));
    for (const proxy::SplitTarget& target : split.to) show_upstream(*target.cluster);
    return;
  }
  const std::string& name = split.to[choice->target].cluster->name;
  switch (choice->why) {
    case Why::kHeader:
      line("", fmt::format("{}: the header {} says so", name, split.override_header));
      break;
    case Why::kCookie:
      line("", fmt::format("{}: the cookie {} says so", name, split.override_cookie));
      break;
    case Why::kNoKey: line("", fmt::format("{}: the request has no key", name)); break;
    case Why::kKey: line("", fmt::format("{}: has bucket {}", name, choice->bucket)); break;
    case Why::kRemembered:
    case Why::kDrawn:
      line("",
           fmt::format("{}: has bucket {}, of the cookie {}", name, choice->bucket, split.cookie));
      break;
  }
  show_upstream(*split.to[choice->target].cluster);
}

void Explainer::show_retry(const upstream::RetryConfig& retry) {
  if (!retry.budgeted) return;
  const bool repeats = (retry.methods & http::bit(head_.method)) != 0 && head_.upgrade.empty();
  line("", fmt::format("up to {} tries {}{}; budget {:g}%", retry.attempts, reasons_text(retry),
                       repeats ? "" : ", once it is sent only one", retry.budget * 100));
}

void Explainer::show_hedge(const upstream::Cluster& cluster) {
  const http::MethodSet hedged =
      cluster.retry.methods & (http::bit(http::Method::kGet) | http::bit(http::Method::kHead));
  if (!cluster.hedge.on || (hedged & http::bit(head_.method)) == 0 || !head_.upgrade.empty()) {
    return;
  }
  line("", fmt::format("after {} without an answer another server is asked as well",
                       cluster.hedge.after_ms == 0 ? "the 95th percentile of its latency"
                                                   : fmt::format("{} ms", cluster.hedge.after_ms)));
}

void Explainer::show_upstream(const upstream::Cluster& cluster) {
  line("upstream", fmt::format("{}, balance {}", cluster.name, balance_name(cluster.balance)));
  if (cluster.check) {
    line("", fmt::format("checked every {} ms, {}", cluster.check->interval_ms,
                         check_text(*cluster.check)));
  }
  if (cluster.sticky != nullptr) {
    line("", fmt::format("clients stay with a server by the cookie {}, for {} s",
                         cluster.sticky->cookie(), cluster.sticky->ttl_s()));
  }
  if (!cluster.members_from.empty()) {
    const std::string& error = cluster.members_error;
    line("",
         fmt::format("members by {}{}{}", cluster.members_from, error.empty() ? "" : "; ", error));
  }
  for (const upstream::Server& server : cluster.servers) {
    line("", fmt::format("{}, weight {}{}{}", server.address, server.weight,
                         server.backup ? ", backup" : "",
                         !server.state->has_address() ? ", does not resolve: down" : ""));
  }
  show_retry(cluster.retry);
  show_hedge(cluster);
  const upstream::BreakerConfig& breaker = cluster.breaker;
  if (!breaker.on) return;
  const std::string limit = breaker.max_connections == 0
                                ? "as many requests at once as its servers take"
                                : fmt::format("{} requests at once", breaker.max_connections);
  line("", fmt::format("{}{}; {} may wait, for {} ms", limit,
                       breaker.adaptive ? ", or fewer (adaptive)" : "", breaker.max_pending,
                       breaker.pending_timeout_ms));
}

void Explainer::show_mirror(const Route& route) {
  const proxy::Mirror& mirror = *route.mirror;
  if (!head_.upgrade.empty()) {
    line("mirror", "none: upgrades are not mirrored");
    return;
  }
  if (head_.headers.find(proxy::kMirrorMark) != nullptr) {
    line("mirror", fmt::format("none: the request has {}", proxy::kMirrorMark));
    return;
  }
  const std::string share =
      mirror.sample < 1 ? fmt::format("{:g} % of such requests", mirror.sample * 100) : "all";
  line("mirror",
       fmt::format("{}, {}; bodies up to {} bytes, answers within {} ms", mirror.cluster->name,
                   share, mirror.max_body_bytes, mirror.timeout_ms));
}

}  // namespace

Explanation explain(const proxy::Snapshot& snapshot, const ExplainRequest& request) {
  return Explainer(snapshot, request).run();
}

}  // namespace weir
