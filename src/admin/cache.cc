#include "admin/cache.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "admin/late_answer.h"
#include "admin/totals.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/params.h"
#include "proxy/answer_store.h"
#include "proxy/cache_result.h"
#include "proxy/exchange.h"
#include "proxy/purge_log.h"

namespace weir::admin {

namespace {

using proxy::LocalReply;
using proxy::Metrics;
using proxy::PurgeOrder;
using proxy::StatusSource;

// The longest URL, with room for its escapes. Reached: 413.
constexpr uint64_t kBodyMaxBytes = 2 * PurgeOrder::kTextBytesMax;
constexpr uint64_t kTop = 10;
constexpr uint64_t kTopMax = 1000;

LocalReply failure(int status, const std::string& error, const char* why) {
  return json_reply(status, Json::object({{"error", error}}), why);
}

LocalReply no_cache() { return failure(404, "no route has a cache", "no cache"); }

Json lines_json(const std::vector<proxy::AnswerLine>& lines) {
  Json list = Json::array();
  for (const proxy::AnswerLine& line : lines) {
    list.push_back(Json::object({{"key", line.key},
                                 {"secondary", line.secondary},
                                 {"hits", line.hits},
                                 {"bytes", line.bytes},
                                 {"age_s", line.age_ms / 1000},
                                 {"status", line.status}}));
  }
  return list;
}

Json requests_json(const Workers& workers) {
  Json requests = Json::object();
  for (size_t i = 0; i < proxy::kCacheResults; ++i) {
    uint64_t count = 0;
    for (const Metrics* worker : workers) count += worker->cache_requests[i].value();
    requests[proxy::label_of(static_cast<proxy::CacheResult>(i))] = count;
  }
  return requests;
}

Json cache_json(const Workers& workers, const proxy::AnswerStats& stats,
                const proxy::TopAnswers& top) {
  const uint64_t looked_up = stats.hits + stats.misses;
  return Json::object(
      {{"memory_bytes", stats.memory_bytes},
       {"bytes", stats.bytes},
       {"mapped_bytes", stats.mapped_bytes},
       {"growing_bytes", stats.growing_bytes},
       {"objects", stats.objects},
       {"keys", stats.keys},
       {"oldest_age_s", stats.oldest_age_ms / 1000},
       {"hits", stats.hits},
       {"misses", stats.misses},
       {"hit_ratio",
        looked_up == 0 ? 0.0 : static_cast<double>(stats.hits) / static_cast<double>(looked_up)},
       {"insertions", stats.insertions},
       {"evictions", stats.evictions},
       {"expirations", stats.expirations},
       {"purged", stats.purged},
       {"requests", requests_json(workers)},
       {"top_by_hits", lines_json(top.by_hits)},
       {"top_by_bytes", lines_json(top.by_bytes)}});
}

// False: it is none.
bool read_top(std::string_view query, uint64_t& out) {
  bool good = true;
  http::for_each_parameter(query, [&](std::string_view name, std::string_view value) {
    if (name == "top") good = good && parse_u64(value, out) && out <= kTopMax;
  });
  return good;
}

// For the log.
std::string words_of(const PurgeOrder& order) {
  using What = PurgeOrder::What;
  std::string words = order.soft ? "soft purge of " : "purge of ";
  switch (order.what) {
    case What::kUrl: return words + order.text;
    case What::kPrefix: return words + "all that begins with " + order.text;
    case What::kTag: return words + "the tag " + order.text;
    case What::kAll: break;
  }
  return words + "all";
}

LocalReply purge(StatusSource& source, const std::string& body, std::string_view by) {
  Result<PurgeOrder> order = read_purge(body);
  if (!order.ok()) return failure(400, order.error(), "no purge in the body");
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  if (snapshot == nullptr || snapshot->answers == nullptr) return no_cache();
  const uint64_t purged = proxy::purge_everywhere(*snapshot, order.value());
  log_info("admin: {}: {} answers; asked for by {}", words_of(order.value()), purged, by);
  return json_reply(200, Json::object({{"purged", purged}}));
}

class PurgeOnPost final : public LateAnswer {
 public:
  using LateAnswer::LateAnswer;

 private:
  static LocalReply too_large() { return failure(413, "the body is too large", "body too large"); }

  std::optional<LocalReply> begin(proxy::Exchange& exchange) override {
    if (exchange.request().content_length > kBodyMaxBytes) return too_large();
    return std::nullopt;
  }

  std::optional<LocalReply> look(proxy::Exchange& exchange) override {
    if (exchange.body_bytes() > kBodyMaxBytes) return too_large();
    const std::optional<std::string> body = exchange.whole_body();
    if (!body) return std::nullopt;
    return purge(source(), *body, exchange.client_ip());
  }
};

Result<PurgeOrder> wrong(std::string why) { return Result<PurgeOrder>::failure(std::move(why)); }

}  // namespace

Result<PurgeOrder> read_purge(std::string_view body) {
  using What = PurgeOrder::What;
  constexpr const char* kForm =
      R"(the body is {"url":"..."}, {"prefix":"..."}, {"tag":"..."} or {"all":true}, )"
      R"(and may have "soft":true)";
  constexpr std::array<std::pair<std::string_view, What>, 3> kTexts = {
      {{"url", What::kUrl}, {"prefix", What::kPrefix}, {"tag", What::kTag}}};
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return wrong(std::string("this is no JSON; ") + kForm);
  if (!json.is_object()) return wrong(kForm);
  std::optional<std::pair<What, std::string>> what;
  bool soft = false;
  for (const auto& [key, value] : json.items()) {
    if (key == "soft") {
      if (!value.is_boolean()) return wrong("soft is true or false");
      soft = value.get<bool>();
      continue;
    }
    if (what) return wrong(std::string("one thing at a time: ") + kForm);
    if (key == "all") {
      if (value != true) return wrong("all is true, or is not there");
      what.emplace(What::kAll, "");
      continue;
    }
    for (const auto& [word, meaning] : kTexts) {
      if (key != word) continue;
      if (!value.is_string()) return wrong(key + " is a text");
      what.emplace(meaning, value.get<std::string>());
    }
    if (!what) return wrong(kForm);
  }
  if (!what) return wrong(kForm);
  return proxy::make_order(what->first, what->second, soft);
}

LocalReply show_cache(StatusSource& source, const http::RequestHead& request) {
  uint64_t top = kTop;
  if (!read_top(request.query, top)) {
    return failure(400, "top is a number up to " + std::to_string(kTopMax), "no such top");
  }
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  if (snapshot == nullptr || snapshot->answers == nullptr) return no_cache();
  proxy::AnswerStore& answers = *snapshot->answers;
  return json_reply(200, cache_json(source.worker_metrics(), answers.stats(), answers.top(top)));
}

LocalReply show_purge(StatusSource&, const http::RequestHead&) {
  LocalReply reply = failure(405, "POST what is to be purged", "not by GET");
  reply.headers.emplace_back("Allow", "POST");
  return reply;
}

std::shared_ptr<const proxy::FilterFactory> purge_on_post(StatusSource& source,
                                                          const PageAccess& access,
                                                          std::string token) {
  return std::make_shared<LateAnswerFactory<PurgeOnPost>>(
      "purge", PostPage{source, access, std::move(token)});
}

}  // namespace weir::admin
