// upstreams.NAME.servers_file: a YAML or JSON list of servers that somebody else writes.
#include <unordered_set>
#include <utility>

#include "base/limits.h"
#include "config/build.h"
#include "config/files.h"
#include "config/yaml.h"
#include "proxy/metrics.h"

namespace weir::config {

namespace {

using options::Kind;
using options::Node;
using options::Problems;

void read_members(const Node& root, Problems& problems, const upstream::Cluster& cluster,
                  std::vector<upstream::Server>& out) {
  std::vector<const Node*> items;
  if (!read_list(root, problems, items)) return;
  const bool hashed = cluster.balance == upstream::Balance::kHash;
  const size_t most = hashed ? upstream::HashTable::kServersMax : limits::kMembersMax;
  if (items.size() > most) {
    problems.error(root, "more than " + std::to_string(most) + " servers");
    return;
  }
  std::unordered_set<std::string> seen;
  bool has_primary = false;
  for (const upstream::Server& server : cluster.servers) {
    seen.insert(server.address);
    has_primary |= !server.backup;
  }
  for (const Node* item : items) {
    upstream::Server server = build_server(*item, problems);
    has_primary |= !server.backup;
    if (seen.insert(server.address).second) out.push_back(std::move(server));
  }
  // Nobody means that; whoever wants no server any more takes the upstream out.
  if (!has_primary) problems.error(root, "has no server without backup");
}

// Empty, or why the text is no list of servers.
std::string parse_members(const std::string& text, const std::string& path,
                          const upstream::Cluster& cluster, std::vector<upstream::Server>& out) {
  Problems problems;
  const auto document = parse_yaml(text, path, problems);
  if (document != nullptr) read_members(*document->root, problems, cluster, out);
  const std::vector<std::string> errors = problems.errors();
  if (errors.empty()) return {};
  std::string why = errors.front();
  if (errors.size() > 1) why += " (and " + std::to_string(errors.size() - 1) + " more)";
  return why;
}

// `shown`: the path as messages may have it.
void read_file(Build& build, const std::string& path, const std::string& shown,
               const upstream::Cluster& cluster, MemberFiles::File& file, std::string& seen) {
  const auto& read =
      build.environment.member_file ? build.environment.member_file : build.environment.file;
  Result<std::string> text = read(path, limits::kMembersFileBytes);
  std::vector<upstream::Server> servers;
  if (text.ok()) {
    seen = std::move(text.value());
    file.error = parse_members(seen, shown, cluster, servers);
  } else {
    file.error = shown + ": cannot be read: " + text.error();
  }
  if (file.error.empty()) {
    file.servers = std::move(servers);
  } else {
    proxy::rare_counters().add("weir_upstream_members_file_errors_total",
                               {{"upstream", cluster.name}});
  }
}

}  // namespace

void build_members(Build& build, options::MapReader& upstream, upstream::Cluster& cluster) {
  const Node* node = upstream.find("servers_file");
  std::string written;
  if (node == nullptr || !read_string(*node, build.problems, written)) return;
  if (written.empty()) {
    build.problems.error(*node, "is empty", "the path of a list of servers is needed");
    return;
  }
  const std::string path = path_beside(*node->file, written);
  MemberFiles& memory = *build.environment.member_files;
  MemberFiles::File& file = memory.of(cluster.name, path);
  const std::string shown = node->secret() ? node->shown() : path;
  cluster.members_from = "servers_file " + shown;
  std::string& seen = build.member_files.emplace_back(MemberFile{cluster.name, path, {}}).seen;
  read_file(build, path, shown, cluster, file, seen);
  if (!file.error.empty()) {
    cluster.members_error = "servers_file is not followed: " + file.error;
    build.problems.warning(*node, "is not followed: " + file.error,
                           file.servers.empty() ? "it has no servers until this is mended"
                                                : "the last good servers stay");
  }
  for (const upstream::Server& server : file.servers) {
    build.servers.push_back({build.clusters.size(), cluster.servers.size(), node});
    cluster.servers.push_back(server);
  }
}

}  // namespace weir::config
