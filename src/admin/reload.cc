#include "admin/reload.h"

#include <fmt/chrono.h>

#include <ctime>
#include <optional>
#include <utility>

#include "admin/access.h"
#include "base/log.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::admin {

namespace {

using proxy::FilterContext;
using proxy::LocalReply;
using proxy::ReloadReceipt;
using proxy::StatusSource;

// How long a POST waits. Nothing bounds a reload itself: it may ask name servers.
constexpr uint64_t kReloadWaitMs = 60'000;

// A reload is over when the main thread has published its receipt. Looking for it costs a waiting
// operator some milliseconds; being told would take a message to a worker that may be gone by then.
constexpr uint64_t kLookMs = 16;

std::string rfc3339(uint64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), unix_ms % 1000);
}

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

LocalReply json_reply(int status, const Json& body, const char* why = "") {
  return {status,
          {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
          to_line(body),
          why};
}

LocalReply failure(int status, const char* what) {
  return json_reply(status, Json::object({{"ok", false}, {"errors", Json::array({what})}}), what);
}

// A request that waits for its reload. Lives in its exchange's arena; thread: the admin worker's.
class ReloadOnPost final : public proxy::Filter {
 public:
  ReloadOnPost(StatusSource& source, const PageAccess& access, const std::string& token)
      : source_(source), access_(access), token_(token) {}

  proxy::Verdict on_request(FilterContext& context, http::RequestHead& request) override {
    if (request.method != http::Method::kPost) return proxy::Next{};
    if (std::optional<LocalReply> refused = refusal_of(request, access_, token_)) {
      return std::move(*refused);
    }
    if (source_.draining()) return failure(409, "the process is ending");
    log_info("admin: reload asked for by {}", context.exchange().client_ip());
    std::pair<proxy::Parked, proxy::Resume> parked = context.park();
    net::Worker& worker = context.exchange().worker().net();
    wait_.emplace(std::move(parked.second), worker, *this);
    wait_->ticket = source_.request_reload();
    wait_->until_ms = worker.now_ms() + kReloadWaitMs;
    wait_->look.arm_ms(kLookMs);
    return parked.first;
  }

  void on_end(const proxy::Summary&) noexcept override { wait_.reset(); }

 private:
  struct Wait {
    Wait(proxy::Resume token, net::Worker& on, ReloadOnPost& filter)
        : resume(std::move(token)),
          worker(on),
          look(on.timers(), &filter, &net::Timer::call<ReloadOnPost, &ReloadOnPost::on_look>) {}
    proxy::Resume resume;
    net::Worker& worker;
    net::Timer look;
    uint64_t ticket = 0;
    uint64_t until_ms = 0;
  };

  void on_look() {
    const std::shared_ptr<const ReloadReceipt> receipt = source_.reload_receipt();
    if (receipt != nullptr && receipt->ticket >= wait_->ticket) {
      answer(json_reply(receipt->ok() ? 200 : 422, receipt_json(receipt.get())));
    } else if (source_.draining()) {
      answer(failure(409, "the process is ending"));
    } else if (wait_->worker.now_ms() >= wait_->until_ms) {
      answer(json_reply(202, Json::object({{"pending", true}})));
    } else {
      wait_->look.arm_ms(kLookMs);
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

class ReloadOnPostFactory final : public proxy::FilterFactory {
 public:
  ReloadOnPostFactory(StatusSource& source, const PageAccess& access, std::string token)
      : source_(source), access_(access), token_(std::move(token)) {}
  std::string_view name() const override { return "reload"; }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<ReloadOnPost>(source_, access_, token_);
  }

 private:
  StatusSource& source_;
  const PageAccess access_;
  const std::string token_;
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
  return std::make_shared<ReloadOnPostFactory>(source, access, std::move(token));
}

}  // namespace weir::admin
