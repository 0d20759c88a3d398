#include "admin/sides.h"

#include "proxy/mirror.h"
#include "proxy/split.h"

namespace weir::admin {
namespace {

using proxy::Metrics;

template <typename Visit>
void for_each_route(const proxy::Snapshot& snapshot, Visit visit) {
  for (const proxy::Site& site : snapshot.sites) {
    for (const proxy::Route& route : site.routes) visit(route);
  }
}

uint64_t value_of(const std::map<uint64_t, uint64_t>& counts, uint64_t key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

Json splits_json(const proxy::Snapshot& snapshot, const Workers& workers) {
  constexpr double kPerPercent = proxy::kSplitBuckets / 100.0;
  const auto counts = total(workers, &Metrics::split_requests);
  Json list = Json::array();
  for_each_route(snapshot, [&](const proxy::Route& route) {
    if (route.split == nullptr) return;
    const proxy::Split& split = *route.split;
    Json sides = Json::array();
    for (size_t i = 0; i < split.to.size(); ++i) {
      const upstream::Cluster& cluster = *split.to[i].cluster;
      sides.push_back(Json::object(
          {{"upstream", cluster.name},
           {"weight", split.to[i].buckets / kPerPercent},
           {"requests", value_of(counts, Metrics::split_key(route.label, cluster.index))},
           {"rolled_back", split.rollback != nullptr && split.rollback->is_rolled_back(i)}}));
    }
    list.push_back(
        Json::object({{"route", route.name}, {"name", split.name}, {"to", std::move(sides)}}));
  });
  return list;
}

Json mirrors_json(const proxy::Snapshot& snapshot, const Workers& workers) {
  const auto counts = total(workers, &Metrics::mirror_requests);
  Json list = Json::array();
  for_each_route(snapshot, [&](const proxy::Route& route) {
    if (route.mirror == nullptr) return;
    const upstream::Cluster& cluster = *route.mirror->cluster;
    Json mirror = Json::object(
        {{"route", route.name}, {"upstream", cluster.name}, {"sample", route.mirror->sample}});
    for (const proxy::MirrorResult result : proxy::kMirrorResults) {
      mirror[proxy::mirror_result_word(result)] =
          value_of(counts, Metrics::mirror_key(route.label, cluster.index, result));
    }
    list.push_back(std::move(mirror));
  });
  return list;
}

}  // namespace weir::admin
