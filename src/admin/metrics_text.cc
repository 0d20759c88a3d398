#include "admin/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "admin/health.h"
#include "admin/process_stats.h"
#include "admin/totals.h"
#include "net/clock.h"
#include "net/redis_config.h"
#include "proxy/answer_store.h"
#include "proxy/cache_result.h"
#include "proxy/limit_stats.h"
#include "proxy/split.h"
#include "version.h"

namespace weir::admin {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using proxy::Histogram;
using proxy::Metrics;
using proxy::StatusSource;

using Labels = std::vector<ClientMetric::Label>;
using Families = std::vector<MetricFamily>;

MetricFamily& add_family(Families& families, const char* name, const char* help, MetricType type) {
  MetricFamily& family = families.emplace_back();
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

void add_value(MetricFamily& family, Labels labels, double value) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  if (family.type == MetricType::Counter)
    metric.counter.value = value;
  else
    metric.gauge.value = value;
}

void add_value(MetricFamily& family, Labels labels, uint64_t value) {
  add_value(family, std::move(labels), static_cast<double>(value));
}

template <typename Number>
void add_single(Families& families, const char* name, const char* help, MetricType type,
                Number value) {
  add_value(add_family(families, name, help, type), {}, value);
}

void add_histogram(MetricFamily& family, Labels labels, const HistogramTotal& total) {
  ClientMetric& metric = family.metric.emplace_back();
  metric.label = std::move(labels);
  uint64_t cumulative = 0;
  for (size_t i = 0; i < Histogram::kBoundsUs.size(); ++i) {
    cumulative += total.buckets[i];
    metric.histogram.bucket.push_back({cumulative, Histogram::bound_seconds(i)});
  }
  // From the buckets, not a number of its own: then +Inf always equals the count.
  metric.histogram.sample_count = cumulative + total.buckets.back();
  metric.histogram.sample_sum = static_cast<double>(total.sum_us) / 1e6;
}

void add_requests(Families& families, const Workers& workers) {
  const std::vector<std::string> routes = proxy::labels().names();
  MetricFamily& requests =
      add_family(families, "http_requests_total", "Requests answered.", MetricType::Counter);
  for (const auto& [packed, value] : total(workers, &Metrics::requests)) {
    const Metrics::Key key = Metrics::unpack(packed);
    if (key.id >= routes.size()) continue;
    add_value(requests,
              {{"method", std::string(http::method_name(key.method))},
               {"route", routes[key.id]},
               {"status", std::to_string(key.status)}},
              value);
  }
  MetricFamily& durations = add_family(
      families, "http_request_duration_seconds",
      "From the first byte of a request to the last of its answer.", MetricType::Histogram);
  for (const auto& [id, histogram] : total(workers, &Metrics::request_duration)) {
    if (id < routes.size()) add_histogram(durations, {{"route", routes[id]}}, histogram);
  }
  add_single(families, "active_connections", "Client connections that are open.", MetricType::Gauge,
             total(workers, &Metrics::active_connections));
  add_single(families, "requests_in_flight", "Requests whose answer is not over.",
             MetricType::Gauge, total(workers, &Metrics::requests_in_flight));
}

void add_splits(Families& families, const proxy::Snapshot& snapshot, const Workers& workers) {
  const std::vector<std::string> routes = proxy::labels().names();
  std::map<uint32_t, std::string> upstreams;
  for (const auto& cluster : snapshot.clusters) upstreams.emplace(cluster->index, cluster->name);
  MetricFamily& family =
      add_family(families, "weir_split_requests_total", "Requests of routes with a split, by side.",
                 MetricType::Counter);
  for (const auto& [key, value] : total(workers, &Metrics::split_requests)) {
    const auto upstream = upstreams.find(static_cast<uint32_t>(key));
    const uint64_t route = (key >> 32) - 1;
    if (upstream == upstreams.end() || route >= routes.size()) continue;
    add_value(family, {{"route", routes[route]}, {"upstream", upstream->second}}, value);
  }
}

// Two routes of one name, or with one split, are one series.
void add_rollbacks(Families& families, const proxy::Snapshot& snapshot) {
  std::map<std::pair<std::string, std::string>, bool> rolled_back;
  for (const proxy::Site& site : snapshot.sites) {
    for (const proxy::Route& route : site.routes) {
      if (route.split == nullptr || route.split->rollback == nullptr) continue;
      for (size_t i = 1; i < route.split->to.size(); ++i) {
        rolled_back[{route.name, route.split->to[i].cluster->name}] |=
            route.split->rollback->is_rolled_back(i);
      }
    }
  }
  MetricFamily& family = add_family(
      families, "weir_split_rolled_back",
      "1: the upstream was worse than the base and gets no users; where there is a rollback rule.",
      MetricType::Gauge);
  for (const auto& [names, value] : rolled_back) {
    add_value(family, {{"route", names.first}, {"upstream", names.second}}, value ? 1.0 : 0.0);
  }
}

void add_maintenances(Families& families, const proxy::Snapshot& snapshot) {
  std::map<std::string, bool> on;  // one series where several have a name
  for (const auto& one : snapshot.maintenances) on[one->name()] |= one->is_on();
  if (on.empty()) return;
  MetricFamily& family = add_family(families, "weir_maintenance",
                                    "1: closed, by its file or by the admin.", MetricType::Gauge);
  for (const auto& [name, value] : on) add_value(family, {{"name", name}}, value ? 1.0 : 0.0);
}

void add_upstream_traffic(Families& families, StatusSource& source, const Workers& workers) {
  std::map<uint32_t, std::shared_ptr<upstream::EndpointState>> endpoints;
  for (auto& endpoint : source.endpoints()) endpoints.emplace(endpoint->index, endpoint);

  MetricFamily& requests = add_family(families, "weir_upstream_requests_total",
                                      "Answers of servers, by status.", MetricType::Counter);
  for (const auto& [packed, value] : total(workers, &Metrics::upstream_requests)) {
    const Metrics::Key key = Metrics::unpack(packed);
    const auto endpoint = endpoints.find(key.id);
    if (endpoint == endpoints.end()) continue;  // its server left the config
    add_value(requests,
              {{"upstream", endpoint->second->upstream},
               {"server", endpoint->second->server},
               {"status", std::to_string(key.status)}},
              value);
  }

  std::map<std::string, uint64_t> active;
  std::map<std::string, uint64_t> idle;
  for (const auto& [index, endpoint] : endpoints) {
    active[endpoint->upstream] += endpoint->in_flight.load(std::memory_order_relaxed);
  }
  for (const auto& [key, count] : total(workers, &Metrics::upstream_connections_idle)) {
    const auto endpoint = endpoints.find(static_cast<uint32_t>(key - 1));
    if (endpoint != endpoints.end()) idle[endpoint->second->upstream] += count;
  }
  MetricFamily& connections = add_family(families, "weir_upstream_connections",
                                         "Connections to servers, by state.", MetricType::Gauge);
  for (const auto& [name, count] : active) {
    add_value(connections, {{"upstream", name}, {"state", "active"}}, count);
    add_value(connections, {{"upstream", name}, {"state", "idle"}}, idle[name]);
  }
  const auto snapshot = source.snapshot();
  if (snapshot == nullptr) return;
  for (const auto& cluster : snapshot->clusters) {
    if (!cluster->breaker.on) continue;
    add_value(connections, {{"upstream", cluster->name}, {"state", "pending"}},
              uint64_t{cluster->state->gate.pending()});
  }
}

void add_clusters(Families& families, const proxy::Snapshot& snapshot, const Workers& workers) {
  MetricFamily& durations =
      add_family(families, "weir_upstream_duration_seconds",
                 "From choosing a server to the last byte of its answer.", MetricType::Histogram);
  const auto histograms = total(workers, &Metrics::upstream_duration);
  for (const auto& cluster : snapshot.clusters) {
    const auto found = histograms.find(cluster->index);
    if (found == histograms.end()) continue;
    add_histogram(durations, {{"upstream", cluster->name}}, found->second);
  }
  MetricFamily& limit = add_family(families, "weir_upstream_concurrency_limit",
                                   "Requests at once, as learned from latency.", MetricType::Gauge);
  for (const auto& cluster : snapshot.clusters) {
    if (!cluster->breaker.adaptive) continue;
    add_value(limit, {{"upstream", cluster->name}},
              uint64_t{cluster->state->gate.adaptive_limit()});
  }
  MetricFamily& up = add_family(families, "weir_upstream_server_up",
                                "1: the server gets requests; 0: it is down.", MetricType::Gauge);
  const uint64_t now_ms = net::monotonic_ms();
  for (const auto& cluster : snapshot.clusters) {
    std::map<std::string, bool> servers;  // one listed twice is one series: two break the scrape
    for (const ServerHealth& entry : cluster_health(*cluster, now_ms).servers) {
      servers[entry.server->address] |= entry.up;
    }
    for (const auto& [address, is_up] : servers) {
      add_value(up, {{"upstream", cluster->name}, {"server", address}}, is_up ? 1.0 : 0.0);
    }
  }
}

void add_mirrors(Families& families, const proxy::Snapshot& snapshot, const Workers& workers) {
  const std::vector<std::string> routes = proxy::labels().names();
  std::map<uint32_t, std::string> upstreams;
  for (const auto& cluster : snapshot.clusters) upstreams.emplace(cluster->index, cluster->name);
  MetricFamily& family =
      add_family(families, "weir_mirror_requests_total",
                 "Requests to be mirrored, by what became of them.", MetricType::Counter);
  for (const auto& [packed, value] : total(workers, &Metrics::mirror_requests)) {
    const Metrics::MirrorKey key = Metrics::unpack_mirror(packed);
    const auto upstream = upstreams.find(key.cluster_index);
    if (key.route_label >= routes.size() || upstream == upstreams.end()) continue;
    add_value(family,
              {{"route", routes[key.route_label]},
               {"upstream", upstream->second},
               {"result", proxy::mirror_result_word(key.result)}},
              value);
  }
}

// A limit that is not configured any more keeps its numbers: counters do not go back.
void add_rate_limits(Families& families, const Workers& workers) {
  const std::vector<std::string> names = proxy::limit_names().names();
  MetricFamily& asked =
      add_family(families, "weir_rate_limit_total",
                 "Requests that a rate limit was asked for, by its answer.", MetricType::Counter);
  std::map<uint32_t, uint64_t> returned;
  for (const auto& [packed, value] : total(workers, &Metrics::rate_limits)) {
    const proxy::LimitKey key = proxy::unpack_limit(packed);
    if (key.label >= names.size()) continue;
    if (key.result == proxy::LimitResult::kReturned) {
      returned[key.label] = value;
      continue;
    }
    add_value(asked, {{"limit", names[key.label]}, {"result", proxy::limit_word(key.result)}},
              value);
  }
  MetricFamily& refunds = add_family(
      families, "weir_rate_limit_returned_total",
      "Requests that did not count after all: they were no failures.", MetricType::Counter);
  for (const auto& [label, value] : returned) {
    add_value(refunds, {{"limit", names[label]}}, value);
  }
  const proxy::LimitStats& stats = proxy::limit_stats();
  add_single(families, "weir_rate_limit_keys", "Keys that rate limits know something of.",
             MetricType::Gauge, stats.keys.load(std::memory_order_relaxed));
  add_single(families, "weir_rate_limit_evictions_total",
             "Keys forgotten for want of room, though they had used some of their quota.",
             MetricType::Counter, stats.evictions.load(std::memory_order_relaxed));
  add_single(families, "weir_rate_limit_waiting", "Requests that a rate limit delays now.",
             MetricType::Gauge, stats.delayed.load(std::memory_order_relaxed));
}

void add_panics(Families& families, const proxy::Snapshot& snapshot) {
  MetricFamily& family = add_family(
      families, "weir_upstream_panic",
      "1: too few servers are well, all are used; where panic is configured.", MetricType::Gauge);
  for (const auto& cluster : snapshot.clusters) {
    if (cluster->panic == 0) continue;
    const bool panic = cluster->state->panic.load(std::memory_order_relaxed);
    add_value(family, {{"upstream", cluster->name}}, panic ? 1.0 : 0.0);
  }
}

void add_ejections(Families& families, StatusSource& source) {
  MetricFamily& family = add_family(families, "weir_upstream_ejections_total",
                                    "Servers ejected as outliers, by reason.", MetricType::Counter);
  const auto add = [&family](const upstream::EndpointState& state, const char* reason,
                             const std::atomic<uint64_t>& count) {
    const uint64_t value = count.load(std::memory_order_relaxed);
    if (value == 0) return;
    add_value(family, {{"upstream", state.upstream}, {"server", state.server}, {"reason", reason}},
              value);
  };
  for (const auto& state : source.endpoints()) {
    add(*state, "errors", state->ejections_for_errors);
    add(*state, "latency", state->ejections_for_latency);
  }
}

void add_handshakes(Families& families, const Workers& workers) {
  MetricFamily& family = add_family(families, "weir_tls_handshakes_total",
                                    "TLS handshakes with clients, by result.", MetricType::Counter);
  add_value(family, {{"result", "full"}}, total(workers, &Metrics::tls_full));
  add_value(family, {{"result", "resumed"}}, total(workers, &Metrics::tls_resumed));
  add_value(family, {{"result", "failed"}}, total(workers, &Metrics::tls_failed));
}

// Of all encodings, so that a panel has its lines before the first answer.
void add_compression(Families& families, const Workers& workers) {
  MetricFamily& family =
      add_family(families, "weir_compression_bytes_total",
                 "Bytes of answers before and after compressing.", MetricType::Counter);
  for (const http::Encoding encoding :
       {http::Encoding::kGzip, http::Encoding::kBr, http::Encoding::kZstd}) {
    uint64_t in = 0;
    uint64_t out = 0;
    for (const Metrics* metrics : workers) {
      const proxy::CodingBytes& bytes = metrics->compression[static_cast<size_t>(encoding)];
      in += bytes.in.value();
      out += bytes.out.value();
    }
    const std::string name(http::encoding_name(encoding));
    add_value(family, {{"encoding", name}, {"direction", "in"}}, in);
    add_value(family, {{"encoding", name}, {"direction", "out"}}, out);
  }
  add_single(families, "weir_compression_refused_total",
             "Answers that went out as they were because too many were being compressed.",
             MetricType::Counter, total(workers, &Metrics::compression_refused));
}

// Two certificates of one name, of different keys, are one series: the first to end counts.
void add_certificates(Families& families, const proxy::Snapshot& snapshot) {
  std::map<std::string, int64_t> ends_s;
  for (const auto& certificate : snapshot.certificates) {
    const auto [known, fresh] = ends_s.emplace(certificate->label(), certificate->not_after_s());
    if (!fresh) known->second = std::min(known->second, certificate->not_after_s());
  }
  MetricFamily& family =
      add_family(families, "weir_certificate_expiry_seconds",
                 "Until a certificate ends; negative once it has.", MetricType::Gauge);
  const auto now_s = static_cast<int64_t>(std::time(nullptr));
  for (const auto& [name, end_s] : ends_s) {
    add_value(family, {{"name", name}}, static_cast<double>(end_s - now_s));
  }
}

void add_redis_errors(MetricFamily& family, const net::RedisConfig& redis) {
  for (size_t i = 1; i < net::kRedisReasons; ++i) {
    const auto reason = static_cast<net::RedisReason>(i);
    const uint64_t count = redis.state->errors(reason);
    if (count > 0) add_value(family, {{"reason", net::redis_reason_word(reason)}}, count);
  }
}

void add_redis(Families& families, const net::RedisConfig& redis) {
  add_single(families, "weir_redis_up", "1: every worker can ask Redis.", MetricType::Gauge,
             uint64_t{redis.state->status().up ? 1u : 0u});
  add_single(families, "weir_redis_instances",
             "Instances of weir that share Redis, as last counted.", MetricType::Gauge,
             uint64_t{redis.state->instances()});
  MetricFamily& errors = add_family(
      families, "weir_rate_limit_store_errors_total",
      "Calls of Redis that it did not answer as it should, and lost connections, by reason.",
      MetricType::Counter);
  add_redis_errors(errors, redis);
}

// Limits that all instances share, by what decides for them now.
void add_limit_modes(Families& families, const net::RedisConfig* redis) {
  const proxy::LimitStats& stats = proxy::limit_stats();
  const bool up = redis != nullptr && redis->state->status().up;
  MetricFamily& family = add_family(families, "weir_rate_limit_mode",
                                    "Shared rate limits by what decides now: Redis (shared), or "
                                    "their on_store_failure.",
                                    MetricType::Gauge);
  uint64_t shared = 0;
  static constexpr const char* kWords[] = {"local", "open", "closed"};
  for (size_t i = 0; i < stats.shared.size(); ++i) {
    const uint64_t count = stats.shared[i].load(std::memory_order_relaxed);
    shared += count;
    add_value(family, {{"mode", kWords[i]}}, up ? uint64_t{0} : count);
  }
  add_value(family, {{"mode", "shared"}}, up ? shared : uint64_t{0});
}

// Without a cache the requests alone, which are none then.
void add_cache(Families& families, const Workers& workers, proxy::AnswerStore* answers) {
  MetricFamily& requests =
      add_family(families, "weir_cache_requests_total",
                 "Requests on routes with a cache, by what it did.", MetricType::Counter);
  for (size_t i = 0; i < proxy::kCacheResults; ++i) {
    uint64_t count = 0;
    for (const Metrics* worker : workers) count += worker->cache_requests[i].value();
    add_value(requests, {{"result", proxy::label_of(static_cast<proxy::CacheResult>(i))}}, count);
  }
  if (answers == nullptr) return;
  const proxy::AnswerStats stats = answers->stats();
  struct One {
    const char* name;
    const char* help;
    MetricType type;
    uint64_t value;
  };
  const One all[] = {
      {"weir_cache_bytes", "Memory of all that is kept.", MetricType::Gauge, stats.bytes},
      {"weir_cache_memory_bytes", "What it may be at most.", MetricType::Gauge, stats.memory_bytes},
      {"weir_cache_objects", "Answers that are kept.", MetricType::Gauge, stats.objects},
      {"weir_cache_oldest_age_seconds", "Age of the oldest answer.", MetricType::Gauge,
       stats.oldest_age_ms / 1000},
      {"weir_cache_hits_total", "Look-ups that found an answer, fresh or not.", MetricType::Counter,
       stats.hits},
      {"weir_cache_misses_total", "Look-ups that found none.", MetricType::Counter, stats.misses},
      {"weir_cache_insertions_total", "Answers that were stored.", MetricType::Counter,
       stats.insertions},
      {"weir_cache_evictions_total", "Answers that went for want of room.", MetricType::Counter,
       stats.evictions},
      {"weir_cache_expirations_total", "Answers that went because they were of no more use.",
       MetricType::Counter, stats.expirations},
      {"weir_cache_purged_total", "Answers that purges have hit.", MetricType::Counter,
       stats.purged},
  };
  for (const One& one : all) add_single(families, one.name, one.help, one.type, one.value);
}

// The cache's second tier.
void add_tier(Families& families, const net::RedisConfig& redis, proxy::AnswerStore& answers) {
  const proxy::AnswerStats stats = answers.stats();
  add_single(families, "weir_cache_redis_up", "1: every worker can ask Redis for answers.",
             MetricType::Gauge, uint64_t{redis.state->status().up ? 1u : 0u});
  add_single(families, "weir_cache_redis_hits_total", "Look-ups in Redis that found an answer.",
             MetricType::Counter, stats.tier_hits);
  add_single(families, "weir_cache_redis_misses_total", "Look-ups in Redis that found none of use.",
             MetricType::Counter, stats.tier_misses);
  add_single(families, "weir_cache_redis_writes_total", "Answers that were sent to Redis.",
             MetricType::Counter, stats.tier_writes);
  add_single(families, "weir_cache_redis_skipped_total",
             "Fresh answers that were not: too large, or Redis could not be asked.",
             MetricType::Counter, stats.tier_skipped);
  MetricFamily& errors =
      add_family(families, "weir_cache_redis_errors_total",
                 "What went wrong with Redis, and values in it that were none, by reason.",
                 MetricType::Counter);
  add_redis_errors(errors, redis);
  if (stats.tier_bad > 0) add_value(errors, {{"reason", "value"}}, stats.tier_bad);
}

void add_rare(Families& families, StatusSource& source) {
  proxy::RareCounters::Servers servers;
  for (const auto& state : source.endpoints()) servers.emplace(state->upstream, state->server);
  proxy::rare_counters().keep_servers(servers);
  static constexpr std::pair<const char*, const char*> kFamilies[] = {
      {"weir_upstream_failures_total", "Tries at a server that failed, by reason."},
      {"weir_upstream_refused_total", "Requests that no server had room for, by reason."},
      {"weir_upstream_members_changes_total",
       "Times that a servers_file or srv has changed "
       "the servers."},
      {"weir_upstream_members_file_errors_total",
       "Times that a servers_file was no good or could not be taken over."},
      {"weir_upstream_retries_total", "Requests that were tried again, by reason."},
      {"weir_upstream_retries_denied_total", "Second tries that retry.budget did not grant."},
      {"weir_upstream_hedges_total", "Second tries beside a slow first one, by result."},
      {"weir_auth_refused_total", "Requests without a good proof of who sends them, by reason."},
      {"weir_jwks_failures_total", "Keys of tokens that could not be fetched, by upstream."},
      {"weir_connections_refused_total", "Client connections closed at once, by reason."},
      {"weir_protocol_errors_total", "Messages that break their protocol, by reason."},
  };
  const proxy::RareCounters::Values values = proxy::rare_counters().values();
  for (const auto& [name, help] : kFamilies) {
    MetricFamily& family = add_family(families, name, help, MetricType::Counter);
    for (auto at = values.lower_bound({name, {}}); at != values.end() && at->first.first == name;
         ++at) {
      Labels labels;
      for (const auto& [label, value] : at->first.second) labels.push_back({label, value});
      add_value(family, std::move(labels), at->second);
    }
  }
}

void add_daemon(Families& families, StatusSource& source, const Workers& workers) {
  const proxy::ReloadStats reloads = source.reloads();
  MetricFamily& loads = add_family(families, "weir_config_reloads_total",
                                   "Configurations loaded, by result.", MetricType::Counter);
  add_value(loads, {{"result", "ok"}}, reloads.succeeded);
  add_value(loads, {{"result", "failed"}}, reloads.failed);
  add_single(families, "weir_config_last_reload_timestamp_seconds",
             "When the running configuration was loaded.", MetricType::Gauge, reloads.last_unix_s);
  add_single(families, "weir_config_snapshots",
             "Configurations in memory: the one in force, and older ones that requests still use.",
             MetricType::Gauge, reloads.snapshots);
  add_single(families, "weir_access_log_dropped_total", "Access log lines that were not written.",
             MetricType::Counter,
             total(workers, &Metrics::access_log_dropped) + source.log_dropped_lines());
  MetricFamily& lag =
      add_family(families, "weir_worker_loop_lag_seconds",
                 "Longest turn of a worker's loop since the last scrape.", MetricType::Gauge);
  for (size_t i = 0; i < workers.size(); ++i) {
    // A turn that ends between the two calls may go unseen: better than a lock in every turn.
    const uint64_t lag_us = workers[i]->loop_lag_us.exchange(0, std::memory_order_relaxed);
    add_value(lag, {{"worker", std::to_string(i)}}, static_cast<double>(lag_us) / 1e6);
  }
  add_value(add_family(families, "weir_build_info", "Always 1.", MetricType::Gauge),
            {{"version", kVersion}, {"commit", kCommit}}, 1.0);
}

void add_process(Families& families) {
  const ProcessStats stats = read_process_stats();
  add_single(families, "process_resident_memory_bytes", "Resident memory.", MetricType::Gauge,
             stats.resident_bytes);
  add_single(families, "process_open_fds", "Open file descriptors.", MetricType::Gauge,
             stats.open_fds);
  add_single(families, "process_start_time_seconds", "Start, in seconds since 1970.",
             MetricType::Gauge, stats.start_unix_seconds);
  add_single(families, "process_cpu_seconds_total", "CPU time, user and system.",
             MetricType::Counter, stats.cpu_seconds);
}

}  // namespace

std::string metrics_text(StatusSource& source) {
  const Workers workers = source.worker_metrics();
  Families families;
  const std::shared_ptr<const proxy::Snapshot> snapshot = source.snapshot();
  add_requests(families, workers);
  add_upstream_traffic(families, source, workers);
  if (snapshot != nullptr) {
    add_clusters(families, *snapshot, workers);
    add_mirrors(families, *snapshot, workers);
    add_panics(families, *snapshot);
    add_splits(families, *snapshot, workers);
    add_rollbacks(families, *snapshot);
    add_maintenances(families, *snapshot);
    add_certificates(families, *snapshot);
    if (snapshot->redis != nullptr) add_redis(families, *snapshot->redis);
    add_limit_modes(families, snapshot->redis.get());
  }
  add_ejections(families, source);
  add_rate_limits(families, workers);
  add_cache(families, workers, snapshot == nullptr ? nullptr : snapshot->answers);
  if (snapshot != nullptr && snapshot->tier_redis != nullptr) {
    add_tier(families, *snapshot->tier_redis, *snapshot->answers);
  }
  add_handshakes(families, workers);
  add_compression(families, workers);
  add_rare(families, source);
  add_daemon(families, source, workers);
  add_process(families);
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families);
  return std::move(out).str();
}

}  // namespace weir::admin
