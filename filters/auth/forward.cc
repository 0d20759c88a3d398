#include "filters/auth/forward.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/strings.h"
#include "filters/auth/place.h"
#include "filters/auth/question.h"
#include "filters/header_name.h"
#include "filters/shared_settings.h"
#include "http/rules.h"
#include "proxy/exchange.h"
#include "proxy/fetch.h"
#include "proxy/metrics.h"

namespace weir::filters::auth {

namespace {

struct Options {
  proxy::Route route;  // where to ask, and for how long
  Question question;
  Names copy_headers;  // of the answer, which says them instead of the client
  Names own_fields;    // of these, what no client may say elsewhere on the site either
  Names response_headers;
  std::shared_ptr<LogThrottle> throttle = std::make_shared<LogThrottle>(10'000);
};

enum class Meaning : uint8_t { kPass, kDeny, kNothing };

// A 304 refers to something that the client has, and was not asked for.
Meaning meaning_of(int status) {
  if (status >= 200 && status < 300) return Meaning::kPass;
  const bool redirects = status >= 300 && status < 400 && status != 304;
  return status == 401 || status == 403 || redirects ? Meaning::kDeny : Meaning::kNothing;
}

void count(std::string_view reason) {
  proxy::rare_counters().add("weir_auth_refused_total",
                             {{"method", "forward"}, {"reason", reason}});
}

// As it came, but for what belongs to the hop and to a body that is framed anew.
proxy::LocalReply handed_on(const http::ResponseHead& head, const Buffer& body) {
  proxy::LocalReply reply;
  reply.status = head.status;
  reply.body = body.text();
  reply.why = head.status < 400 ? "sent elsewhere by the auth server" : "denied by the auth server";
  bool says_how_to_keep = false;
  for (const http::Header& field : head.headers) {
    if (http::is_hop_by_hop(field) || field.id == http::HeaderId::kContentLength) continue;
    if (reply.body.empty() && field.id == http::HeaderId::kContentEncoding) continue;
    says_how_to_keep |=
        field.id == http::HeaderId::kCacheControl || field.id == http::HeaderId::kExpires;
    reply.headers.emplace_back(field.name, field.value);
  }
  if (!says_how_to_keep) reply.headers.emplace_back("Cache-Control", "no-store");
  return reply;
}

// Lives in its exchange's arena; thread: the worker's.
class Forward final : public proxy::Filter, public proxy::Fetch::User {
 public:
  explicit Forward(const Options& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    proxy::Exchange& exchange = context.exchange();
    std::pair<proxy::Parked, proxy::Resume> parked = context.park();
    wait_.emplace(std::move(parked.second), exchange, *this);
    options_.question.ask(head, exchange.scheme(), exchange.site_fields(), wait_->fetch.request());
    exchange.drop_site_fields();
    head.headers.remove_if(
        [this](const http::Header& field) { return are_alike(options_.copy_headers, field.name); });
    wait_->fetch.start();
    return parked.first;
  }

  proxy::Verdict on_response(proxy::FilterContext&, http::ResponseHead& head) override {
    if (for_client_ == nullptr) return proxy::Next{};
    for (const http::Header& field : *for_client_) {
      if (field.id != http::HeaderId::kSetCookie) head.headers.remove(field.name);
    }
    for (const http::Header& field : *for_client_) head.headers.add(field);
    return proxy::Next{};
  }

  void on_end(const proxy::Summary&) noexcept override { wait_.reset(); }

  bool on_fetch_head(const http::ResponseHead& head) override {
    switch (meaning_of(head.status)) {
      case Meaning::kPass: let_in(head); return false;
      case Meaning::kDeny: return true;
      case Meaning::kNothing: break;
    }
    fail({Source::kUpstream, ErrorKind::kRefused, Retry::kNever, "neither passed nor denied"},
         "status");
    return false;
  }

  void on_fetched(const http::ResponseHead& head, const Buffer& body) override {
    count(head.status < 400 ? "redirected" : "denied");
    std::move(wait_->resume).reply(handed_on(head, body));
  }

  void on_fetch_failed(const Error& error) override { fail(error, proxy::kind_word(error.kind)); }

 private:
  // As long as it waits its exchange lives: this filter is in the exchange's arena.
  struct Wait {
    Wait(proxy::Resume token, proxy::Exchange& of, Forward& filter)
        : resume(std::move(token)),
          exchange(of),
          fetch(of, filter.options_.route, limits::kAuthAnswerBytes, filter) {}
    proxy::Resume resume;
    proxy::Exchange& exchange;
    proxy::Fetch fetch;
  };

  // Its answer ends before the request does: what is needed of it is copied.
  void let_in(const http::ResponseHead& head) {
    proxy::Exchange& exchange = wait_->exchange;
    Arena& arena = exchange.arena();
    for (const http::Header& field : head.headers) {
      const bool for_server = are_named(options_.copy_headers, field.name);
      const bool for_client = are_named(options_.response_headers, field.name);
      if (!for_server && !for_client) continue;
      const http::Header copy = {arena.copy(field.name), arena.copy(field.value), field.id};
      if (for_server) exchange.request().headers.add(copy);
      if (!for_client) continue;
      if (for_client_ == nullptr) for_client_ = arena.make<http::HeaderList>(arena);
      for_client_->add(copy);
    }
    std::move(wait_->resume).next();
  }

  void fail(const Error& error, std::string_view reason) {
    count(reason);
    log_warn_once_per(*options_.throttle, "auth.forward: upstream {}: {}: {}; answered 503",
                      options_.route.cluster->name, proxy::kind_word(error.kind), error.detail);
    proxy::LocalReply reply = {503, {{"Cache-Control", "no-store"}, {"Retry-After", "1"}}, {}, ""};
    reply.who = error.source;
    reply.kind = error.kind;
    reply.why = wait_->exchange.arena().concat({"auth server: ", error.detail, {"\0", 1}}).data();
    std::move(wait_->resume).reply(std::move(reply));
  }

  const Options& options_;                  // the snapshot's, which the exchange pins
  http::HeaderList* for_client_ = nullptr;  // null: nothing
  std::optional<Wait> wait_;
};

class Factory final : public SharedFactory<Forward, Options> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "auth"; }
  bool asks_for_proof() const override { return true; }
  std::span<const std::string> own_fields() const override { return options().own_fields; }
};

using CheckName = bool (*)(const options::Node& at, std::string_view name, options::Problems&);

void read_names(options::MapReader& map, std::string_view key, CheckName check,
                options::Problems& problems, Names& out) {
  std::vector<const options::Node*> items;
  if (!map.list(key, items)) return;
  for (const options::Node* item : items) {
    std::string name;
    if (!options::read_string(*item, problems, name) || !check(*item, name, problems)) continue;
    if (are_named(out, name)) {
      problems.error(*item, shown_name(*item, name) + " is named twice here");
    } else {
      out.push_back(std::move(name));
    }
  }
}

}  // namespace

SettingsPtr forward_read(const options::Node& value, const Reading& reading) {
  Options options;
  Question& question = options.question;
  options::MapReader map(value, reading.problems);
  read_place(map, reading, {options.route, question.target, question.host});
  if (map.find("request_headers") != nullptr) {
    read_names(map, "request_headers", &check_filled_header_name, reading.problems,
               question.request_headers.emplace());
  }
  read_names(map, "copy_headers", &check_filled_header_name, reading.problems,
             options.copy_headers);
  read_names(map, "response_headers", &check_header_name, reading.problems,
             options.response_headers);
  for (const std::string& name : options.copy_headers) {
    if (!is_proof(name)) options.own_fields.push_back(name);
  }
  map.finish();
  return shared_settings<Factory>(std::move(options));
}

}  // namespace weir::filters::auth
