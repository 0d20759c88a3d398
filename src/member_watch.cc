#include "member_watch.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "base/limits.h"
#include "base/log.h"
#include "config/files.h"
#include "net/clock.h"
#include "proxy/metrics.h"

namespace weir {

namespace {

constexpr uint64_t kEveryMs = 1000;
constexpr uint64_t kStillMs = 200;
constexpr uint32_t kPutOffDoublings = 6;  // from 2 s to 64 s
constexpr uint64_t kRestlessMs = 2000;    // somebody writes all the time: it is read as it is

bool same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

struct Changes {
  size_t came = 0;
  size_t left = 0;
  size_t changed = 0;  // weight, or another key, of one that stays
  bool any() const { return came + left + changed != 0; }
};

bool is_as_before(const upstream::Server& a, const upstream::Server& b) {
  return a.weight == b.weight && a.backup == b.backup && a.max_connections == b.max_connections &&
         a.max_fails == b.max_fails && a.fail_timeout_ms == b.fail_timeout_ms;
}

Changes changes_between(const upstream::Cluster& before, const upstream::Cluster& now) {
  std::unordered_map<std::string_view, const upstream::Server*> old_ones;
  for (const upstream::Server& server : before.servers) old_ones[server.address] = &server;
  Changes changes;
  for (const upstream::Server& server : now.servers) {
    const auto old = old_ones.find(server.address);
    if (old == old_ones.end()) {
      ++changes.came;
      continue;
    }
    if (!is_as_before(*old->second, server)) ++changes.changed;
    old_ones.erase(old);
  }
  changes.left = old_ones.size();
  return changes;
}

bool differs(const config::MemberFile& file) {
  Result<std::string> text = config::read_regular_file(file.path, limits::kMembersFileBytes);
  return file.seen != (text.ok() ? text.value() : std::string());
}

}  // namespace

void MemberWatch::watch(const std::vector<config::MemberFile>& files, SrvNames names) {
  names_ = std::move(names);
  files_.clear();
  const uint64_t now_ms = net::monotonic_ms();
  // It may have changed, or gone, since it was read: the first look compares.
  for (const config::MemberFile& file : files) files_.push_back({file, {}, now_ms});
  put_off_ = 0;
  next_ms_ = files_.empty() && names_.empty() ? UINT64_MAX : now_ms + kEveryMs;
}

uint64_t MemberWatch::put_off() {
  put_off_ = std::min(put_off_ + 1, kPutOffDoublings);
  const uint64_t wait_ms = kEveryMs << put_off_;
  next_ms_ = net::monotonic_ms() + wait_ms;
  return wait_ms;
}

bool MemberWatch::look(uint64_t now_ms, const config::Environment& environment) {
  bool news = put_off_ > 0 || std::any_of(names_.begin(), names_.end(), [&](const auto& one) {
                return environment.srv_version(one.first) != one.second;
              });
  bool moving = false;
  for (Watched& watched : files_) {
    struct stat stamp = {};
    if (stat(watched.file.path.c_str(), &stamp) != 0) stamp = {};
    const bool still = same(stamp, watched.stamp);
    watched.stamp = stamp;
    if (!still && watched.moving_from_ms == 0) watched.moving_from_ms = now_ms;
    if (watched.moving_from_ms == 0) continue;
    if (!still && now_ms - watched.moving_from_ms < kRestlessMs) {
      moving = true;
      continue;
    }
    watched.moving_from_ms = 0;
    news |= differs(watched.file);
  }
  next_ms_ = now_ms + (moving ? kStillMs : kEveryMs);
  return news;
}

void tell_of_members(const proxy::Snapshot& before, const proxy::Snapshot& now) {
  // Both are built from one text: their clusters are the same ones in the same order.
  for (size_t i = 0; i < now.clusters.size() && i < before.clusters.size(); ++i) {
    const upstream::Cluster& cluster = *now.clusters[i];
    const Changes changes = changes_between(*before.clusters[i], cluster);
    if (!changes.any()) {
      const bool mended =
          !before.clusters[i]->members_error.empty() && cluster.members_error.empty();
      if (mended) log_info("upstream {}: its members are followed again", cluster.name);
      continue;
    }
    log_info("upstream {}: it has {} servers now, {} came, {} left, {} changed", cluster.name,
             cluster.servers.size(), changes.came, changes.left, changes.changed);
    proxy::rare_counters().add("weir_upstream_members_changes_total", {{"upstream", cluster.name}});
  }
}

void mark_members(const proxy::Snapshot& snapshot, bool stuck) {
  for (const auto& cluster : snapshot.clusters) {
    if (cluster->members_from.empty()) continue;
    cluster->state->members_stuck.store(stuck, std::memory_order_relaxed);
    if (!stuck || !cluster->members_from.starts_with("servers_file ")) continue;
    proxy::rare_counters().add("weir_upstream_members_file_errors_total",
                               {{"upstream", cluster->name}});
  }
}

}  // namespace weir
