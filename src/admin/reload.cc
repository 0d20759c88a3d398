#include "admin/reload.h"

#include <optional>
#include <utility>

#include "admin/late_answer.h"
#include "base/log.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::admin {

namespace {

using proxy::LocalReply;
using proxy::ReloadReceipt;
using proxy::StatusSource;

// How long a POST waits. Nothing bounds a reload itself: it may ask name servers.
constexpr uint64_t kReloadWaitMs = 60'000;

Json changes_json(const proxy::Changes& changes) {
  Json parts = Json::object();
  for (size_t i = 0; i < changes.size(); ++i) {
    const proxy::PartChanges& part = changes[i];
    parts[proxy::part_name(static_cast<proxy::Part>(i))] =
        Json::object({{"added", part.added},
                      {"removed", part.removed},
                      {"changed", part.changed},
                      {"left_out", part.left_out}});
  }
  return parts;
}

LocalReply failure(int status, const char* what) {
  return json_reply(status, Json::object({{"ok", false}, {"errors", Json::array({what})}}), what);
}

// A request that waits for its reload, which is over when the main thread has published its
// receipt.
class ReloadOnPost final : public LateAnswer {
 public:
  using LateAnswer::LateAnswer;

 private:
  std::optional<LocalReply> begin(proxy::Exchange& exchange) override {
    if (source().draining()) return failure(409, "the process is ending");
    log_info("admin: reload asked for by {}", exchange.client_ip());
    ticket_ = source().request_reload();
    until_ms_ = exchange.worker().net().now_ms() + kReloadWaitMs;
    return std::nullopt;
  }

  std::optional<LocalReply> look(proxy::Exchange& exchange) override {
    const std::shared_ptr<const ReloadReceipt> receipt = source().reload_receipt();
    if (receipt != nullptr && receipt->ticket >= ticket_) {
      return json_reply(receipt->ok() ? 200 : 422, receipt_json(receipt.get()));
    }
    if (source().draining()) return failure(409, "the process is ending");
    if (exchange.worker().net().now_ms() < until_ms_) return std::nullopt;
    return json_reply(202, Json::object({{"pending", true}}));
  }

  uint64_t ticket_ = 0;
  uint64_t until_ms_ = 0;
};

}  // namespace

Json receipt_json(const ReloadReceipt* receipt) {
  if (receipt == nullptr) return nullptr;
  return Json::object({{"number", receipt->number},
                       {"time", rfc3339(receipt->ended_unix_ms)},
                       {"cause", receipt->cause},
                       {"ok", receipt->ok()},
                       {"took_ms", receipt->took_ms},
                       {"errors", receipt->errors},
                       {"warnings", receipt->warnings},
                       {"changes", changes_json(receipt->changes)}});
}

LocalReply last_reload(StatusSource& source) {
  const std::shared_ptr<const ReloadReceipt> receipt = source.reload_receipt();
  if (receipt == nullptr) return failure(503, "nothing is loaded yet");
  return json_reply(200, receipt_json(receipt.get()));
}

std::shared_ptr<const proxy::FilterFactory> reload_on_post(StatusSource& source,
                                                           const PageAccess& access,
                                                           std::string token) {
  return std::make_shared<LateAnswerFactory<ReloadOnPost>>(
      "reload", PostPage{source, access, std::move(token)});
}

}  // namespace weir::admin
