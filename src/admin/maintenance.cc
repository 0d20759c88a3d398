#include "admin/maintenance.h"

#include <optional>
#include <utility>

#include "admin/late_answer.h"
#include "base/log.h"
#include "proxy/exchange.h"

namespace weir::admin {

namespace {

using proxy::LocalReply;
using proxy::Maintenance;
using proxy::StatusSource;

Json state_json(const Maintenance& one) {
  Json by = Json::array();
  if (one.by_file()) by.push_back("file");
  if (one.by_admin()) by.push_back("admin");
  return Json::object({{"name", one.name()},
                       {"on", one.is_on()},
                       {"by", std::move(by)},
                       {"file", one.file().empty() ? Json() : Json(one.file())},
                       {"retry_after_s", one.retry_after_s()}});
}

struct Wish {
  std::string name;
  bool on = false;
};

// "" or what is wrong with the body.
std::string read_wish(const std::string& body, Wish& out) {
  constexpr const char* kForm = R"(the body is {"name":"...","state":"on"}, or "off")";
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return std::string("this is no JSON; ") + kForm;
  const bool formed = json.is_object() && json.size() == 2 && json.contains("name") &&
                      json.contains("state") && json["name"].is_string();
  if (!formed) return kForm;
  out.name = json["name"].get<std::string>();
  out.on = json["state"] == "on";
  if (out.on || json["state"] == "off") return {};
  return R"(a state is "on" or "off", not )" +
         json["state"].dump(-1, ' ', true, Json::error_handler_t::replace);
}

LocalReply set_maintenance(StatusSource& source, const std::string& body, std::string_view by) {
  Wish wish;
  if (const std::string wrong = read_wish(body, wish); !wrong.empty()) {
    return error_reply(400, wrong, "no maintenance in the body");
  }
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  const Maintenance* set = nullptr;
  bool by_file = false;
  for (size_t i = 0; snapshot != nullptr && i < snapshot->maintenances.size(); ++i) {
    Maintenance& one = *snapshot->maintenances[i];
    if (one.name() != wish.name) continue;
    one.set_by_admin(wish.on);
    set = &one;
    by_file = by_file || one.by_file();
  }
  if (set == nullptr) {
    return error_reply(404, "no maintenance has the name \"" + wish.name + "\"",
                       "no such maintenance");
  }
  log_warn("admin: maintenance of {}: {}; asked for by {}", wish.name, wish.on ? "on" : "off", by);
  Json answer = state_json(*set);
  if (!wish.on && by_file) answer["warning"] = "its file is there: it is still closed";
  return json_reply(200, answer);
}

class SetMaintenanceOnPost final : public BodyAnswer {
 public:
  using BodyAnswer::BodyAnswer;

 private:
  std::optional<LocalReply> answer(proxy::Exchange& exchange, const std::string& body) override {
    return set_maintenance(source(), body, exchange.client_ip());
  }
};

}  // namespace

Json maintenances_json(const proxy::Snapshot& snapshot) {
  Json list = Json::array();
  for (const auto& one : snapshot.maintenances) list.push_back(state_json(*one));
  return list;
}

LocalReply show_maintenances(StatusSource& source, const http::RequestHead&) {
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  return json_reply(200, snapshot == nullptr ? Json::array() : maintenances_json(*snapshot));
}

std::shared_ptr<const proxy::FilterFactory> set_maintenance_on_post(StatusSource& source,
                                                                    const PageAccess& access,
                                                                    std::string token) {
  return std::make_shared<LateAnswerFactory<SetMaintenanceOnPost>>(
      "set_maintenance", PostPage{source, access, std::move(token)});
}

}  // namespace weir::admin
