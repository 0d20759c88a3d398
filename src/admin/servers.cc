#include "admin/servers.h"

#include <optional>
#include <string_view>
#include <utility>

#include "admin/health.h"
#include "admin/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/chars.h"
#include "net/clock.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "upstream/duty.h"
#include "upstream/health.h"

namespace weir::admin {

namespace {

using proxy::LocalReply;
using proxy::StatusSource;
using upstream::Duty;

// {"state":"drain"} and some room for whoever writes more blanks. Reached: 413.
constexpr uint64_t kBodyMaxBytes = 4096;

// How often a body that comes in pieces is looked at: it costs an operator some milliseconds.
constexpr uint64_t kLookMs = 8;

LocalReply json_reply(int status, const Json& body, const char* why = "") {
  return {status,
          {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
          to_line(body),
          why};
}

LocalReply failure(int status, const std::string& error, const char* why) {
  return json_reply(status, Json::object({{"error", error}}), why);
}

// A broken escape stands for itself.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool escape = text[at] == '%' && at + 2 < text.size() &&
                        http::all_bytes(text.substr(at + 1, 2), http::kHexByte);
    if (!escape) {
      out.push_back(text[at]);
      continue;
    }
    out.push_back(
        static_cast<char>(http::hex_value(text[at + 1]) * 16 + http::hex_value(text[at + 2])));
    at += 2;
  }
  return out;
}

// One server of the configuration in force, which it keeps; or why there is none.
struct Found {
  std::shared_ptr<const proxy::Snapshot> snapshot;
  const upstream::Cluster* cluster = nullptr;
  const upstream::Server* server = nullptr;
  std::string error;
};

Found find_server(StatusSource& source, std::string_view path) {
  constexpr std::string_view kServers = "/servers/";
  Found found;
  const std::string_view start = kServersPath;
  const size_t mark = path.find(kServers, start.size());
  if (!path.starts_with(start) || mark == std::string_view::npos) {
    found.error = "the path of a server is /upstreams/NAME/servers/ADDRESS";
    return found;
  }
  found.snapshot = source.snapshot();
  if (found.snapshot == nullptr) {
    found.error = "nothing is loaded yet";
    return found;
  }
  const std::string name = percent_decoded(path.substr(start.size(), mark - start.size()));
  const std::string address = percent_decoded(path.substr(mark + kServers.size()));
  for (const auto& cluster : found.snapshot->clusters) {
    if (cluster->name == name) found.cluster = cluster.get();
  }
  if (found.cluster == nullptr) {
    found.error = "no upstream \"" + name + "\"";
    return found;
  }
  for (const upstream::Server& server : found.cluster->servers) {
    if (server.address == address) found.server = &server;
  }
  if (found.server == nullptr) {
    found.error = "upstream \"" + name + "\" has no server \"" + address +
                  "\"; it is written as in the configuration";
  }
  return found;
}

Json state_json(const Found& found) {
  const ServerHealth health = server_health(*found.server, net::monotonic_ms());
  const uint32_t in_flight = found.server->state->in_flight.load(std::memory_order_relaxed);
  return Json::object({{"upstream", found.cluster->name},
                       {"address", found.server->address},
                       {"state", health.state},
                       {"reason", health.reason},
                       {"in_flight", in_flight}});
}

// "" or what is wrong with the body.
std::string read_wish(const std::string& body, Duty& out) {
  constexpr const char* kForm = R"(the body is {"state":"drain"}, or "up" or "down")";
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return std::string("this is no JSON; ") + kForm;
  if (!json.is_object() || json.size() != 1 || !json.contains("state")) return kForm;
  const Json& word = json["state"];
  if (word.is_string() && upstream::parse_duty(word.get_ref<const std::string&>(), out)) return {};
  return R"(a state is "up", "drain" or "down", not )" +
         word.dump(-1, ' ', true, Json::error_handler_t::replace);
}

LocalReply set_server(StatusSource& source, std::string_view path, const std::string& body,
                      std::string_view by) {
  const Found found = find_server(source, path);
  if (found.server == nullptr) return failure(404, found.error, "no such server");
  Duty wanted = Duty::kUp;
  if (const std::string wrong = read_wish(body, wanted); !wrong.empty()) {
    return failure(400, wrong, "no state in the body");
  }
  const Duty before = upstream::set_duty(*found.server->state, wanted);
  if (wanted == Duty::kUp && before != Duty::kUp) {
    upstream::begin_slow_start(*found.server, net::monotonic_ms());
  }
  log_info("admin: upstream {}: server {}: {}, was {}; asked for by {}", found.cluster->name,
           found.server->address, upstream::duty_word(wanted), upstream::duty_word(before), by);
  Json answer = state_json(found);
  if (!upstream::takes_requests(*found.cluster)) {
    constexpr const char* kNobody = "no server of this upstream takes new requests now";
    log_warn("admin: upstream {}: {}", found.cluster->name, kNobody);
    answer["warning"] = kNobody;
  }
  return json_reply(200, answer);
}

// A POST whose body is on its way. Lives in its exchange's arena; thread: the admin worker's.
class SetServerOnPost final : public proxy::Filter {
 public:
  SetServerOnPost(StatusSource& source, const PageAccess& access, const std::string& token)
      : source_(source), access_(access), token_(token) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& request) override {
    if (request.method != http::Method::kPost) return proxy::Next{};
    if (std::optional<LocalReply> refused = refusal_of(request, access_, token_)) {
      return std::move(*refused);
    }
    if (request.content_length > kBodyMaxBytes) return too_large();
    std::pair<proxy::Parked, proxy::Resume> parked = context.park();
    wait_.emplace(std::move(parked.second), context.exchange(), *this);
    wait_->look.arm_ms(1);
    return parked.first;
  }

  void on_end(const proxy::Summary&) noexcept override { wait_.reset(); }

 private:
  // As long as it waits its exchange lives: this filter is in the exchange's arena.
  struct Wait {
    Wait(proxy::Resume token, proxy::Exchange& of, SetServerOnPost& filter)
        : resume(std::move(token)),
          exchange(of),
          look(of.worker().net().timers(), &filter,
               &net::Timer::call<SetServerOnPost, &SetServerOnPost::on_look>) {}
    proxy::Resume resume;
    proxy::Exchange& exchange;
    net::Timer look;
  };

  static LocalReply too_large() { return failure(413, "the body is too large", "body too large"); }

  void on_look() {
    proxy::Exchange& exchange = wait_->exchange;
    if (exchange.body_bytes() > kBodyMaxBytes) {
      answer(too_large());
    } else if (const std::optional<std::string> body = exchange.whole_body()) {
      answer(set_server(source_, exchange.request().path, *body, exchange.client_ip()));
    } else {
      wait_->look.arm_ms(kLookMs);  // the listener's body timeout ends it
    }
  }

  void answer(LocalReply reply) {
    proxy::Resume resume = std::move(wait_->resume);
    wait_.reset();
    std::move(resume).reply(std::move(reply));
  }

  StatusSource& source_;
  const PageAccess& access_;  // the factory's, as the token
  const std::string& token_;
  std::optional<Wait> wait_;
};

class SetServerOnPostFactory final : public proxy::FilterFactory {
 public:
  SetServerOnPostFactory(StatusSource& source, const PageAccess& access, std::string token)
      : source_(source), access_(access), token_(std::move(token)) {}
  std::string_view name() const override { return "set_server"; }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<SetServerOnPost>(source_, access_, token_);
  }

 private:
  StatusSource& source_;
  const PageAccess access_;
  const std::string token_;
};

}  // namespace

LocalReply show_server(StatusSource& source, const http::RequestHead& request) {
  const Found found = find_server(source, request.path);
  if (found.server == nullptr) return failure(404, found.error, "no such server");
  return json_reply(200, state_json(found));
}

std::shared_ptr<const proxy::FilterFactory> set_server_on_post(StatusSource& source,
                                                               const PageAccess& access,
                                                               std::string token) {
  return std::make_shared<SetServerOnPostFactory>(source, access, std::move(token));
}

}  // namespace weir::admin
