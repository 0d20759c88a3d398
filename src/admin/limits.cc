#include "admin/limits.h"

#include <optional>
#include <utility>

#include "admin/json.h"
#include "admin/late_answer.h"
#include "base/log.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/limit_book.h"
#include "proxy/proxy_worker.h"

namespace weir::admin {

namespace {

using proxy::LimitBook;
using proxy::LocalReply;
using proxy::StatusSource;

// Much longer than a call of Redis may take: a worker that hangs.
constexpr uint64_t kWaitMs = 5000;

struct Wish {
  std::string limit;
  std::string key;
};

// "" or what is wrong with the body.
std::string read_wish(const std::string& body, Wish& out) {
  constexpr const char* kForm = R"(the body is {"limit":"...","key":"client_ip=..."})";
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return std::string("this is no JSON; ") + kForm;
  const bool formed = json.is_object() && json.size() == 2 && json.contains("limit") &&
                      json.contains("key") && json["limit"].is_string() && json["key"].is_string();
  if (!formed) return kForm;
  out.limit = json["limit"].get<std::string>();
  out.key = json["key"].get<std::string>();
  return {};
}

class ResetOnPost final : public BodyAnswer {
 public:
  using BodyAnswer::BodyAnswer;

 private:
  std::optional<LocalReply> answer(proxy::Exchange& exchange, const std::string& body) override {
    if (state_ == nullptr) {
      if (std::optional<LocalReply> refused = begin_reset(exchange, body)) return refused;
    }
    const LimitBook::Reset state = state_->load();
    if (state == LimitBook::Reset::kDone) {
      return json_reply(
          200, Json::object({{"limit", wish_.limit}, {"key", wish_.key}, {"reset", true}}));
    }
    if (state == LimitBook::Reset::kUnderWay && exchange.worker().net().now_ms() < until_ms_) {
      return std::nullopt;
    }
    return error_reply(503, "Redis was not reached: there the key is as it was; ask again",
                       "Redis was not reached");
  }

  // An answer: there is nothing to wait for.
  std::optional<LocalReply> begin_reset(proxy::Exchange& exchange, const std::string& body) {
    if (const std::string wrong = read_wish(body, wish_); !wrong.empty()) {
      return error_reply(400, wrong, "no reset in the body");
    }
    const std::shared_ptr<const proxy::Snapshot> snapshot = source().snapshot();
    const LimitBook* const book = snapshot == nullptr ? nullptr : snapshot->limits.get();
    if (book == nullptr || !book->has(wish_.limit)) {
      return error_reply(404, "no rate limit has the name \"" + wish_.limit + "\"",
                         "no such limit");
    }
    Result<LimitBook::ResetState> state =
        book->reset(wish_.limit, wish_.key, [&](std::function<void(proxy::ProxyWorker&)> work) {
          return source().post(std::move(work));
        });
    if (!state.ok()) return error_reply(400, state.error(), "no such key");
    // Not which key: it may be a secret.
    log_info("admin: rate limit {}: a key begins anew; asked for by {}", wish_.limit,
             exchange.client_ip());
    state_ = std::move(state.value());
    until_ms_ = exchange.worker().net().now_ms() + kWaitMs;
    return std::nullopt;
  }

  Wish wish_;
  LimitBook::ResetState state_;  // null: not begun
  uint64_t until_ms_ = 0;
};

}  // namespace

LocalReply show_reset(StatusSource&, const http::RequestHead&) {
  LocalReply reply = error_reply(405, "POST which key is to begin anew", "not by GET");
  reply.headers.emplace_back("Allow", "POST");
  return reply;
}

std::shared_ptr<const proxy::FilterFactory> reset_on_post(StatusSource& source,
                                                          const PageAccess& access,
                                                          std::string token) {
  return std::make_shared<LateAnswerFactory<ResetOnPost>>(
      "reset_limit", PostPage{source, access, std::move(token)});
}

}  // namespace weir::admin
