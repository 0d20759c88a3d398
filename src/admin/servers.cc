#include "admin/servers.h"

#include <optional>
#include <string_view>
#include <utility>

#include "admin/health.h"
#include "admin/json.h"
#include "admin/late_answer.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/chars.h"
#include "net/clock.h"
#include "proxy/exchange.h"
#include "upstream/duty.h"
#include "upstream/health.h"

namespace weir::admin {

namespace {

using proxy::LocalReply;
using proxy::StatusSource;
using upstream::Duty;

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
  if (found.server == nullptr) return error_reply(404, found.error, "no such server");
  Duty wanted = Duty::kUp;
  if (const std::string wrong = read_wish(body, wanted); !wrong.empty()) {
    return error_reply(400, wrong, "no state in the body");
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

class SetServerOnPost final : public BodyAnswer {
 public:
  using BodyAnswer::BodyAnswer;

 private:
  std::optional<LocalReply> answer(proxy::Exchange& exchange, const std::string& body) override {
    return set_server(source(), exchange.request().path, body, exchange.client_ip());
  }
};

}  // namespace

LocalReply show_server(StatusSource& source, const http::RequestHead& request) {
  const Found found = find_server(source, request.path);
  if (found.server == nullptr) return error_reply(404, found.error, "no such server");
  return json_reply(200, state_json(found));
}

std::shared_ptr<const proxy::FilterFactory> set_server_on_post(StatusSource& source,
                                                               const PageAccess& access,
                                                               std::string token) {
  return std::make_shared<LateAnswerFactory<SetServerOnPost>>(
      "set_server", PostPage{source, access, std::move(token)});
}

}  // namespace weir::admin
