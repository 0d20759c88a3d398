// weir's command line.
#include <CLI/CLI.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>

#include "admin_commands.h"
#include "config/load.h"
#include "daemon.h"
#include "explain.h"
#include "http/h1_grammar.h"
#include "http/h2_session.h"
#include "net/resolver.h"
#include "net/uv_error.h"
#include "privileges.h"
#include "version.h"

namespace {

constexpr const char* kDefaultConfig = "/etc/weir/weir.yaml";
constexpr const char* kDefaultAdmin = "127.0.0.1:9901";

// A daemon that has become another user reads its files again at a reload, as that user.
void warn_of_lost_access(const std::string& path, const weir::proxy::Snapshot& snapshot) {
  if (snapshot.user.empty() || geteuid() != 0) return;
  const auto load_again = [&] {
    weir::upstream::StateRegistry states;
    std::vector<std::string> problems =
        weir::config::load(path, weir::config::system_environment(states, weir::proxy::labels()))
            .errors;
    const std::string& log = snapshot.log.access.path;
    if (log.find('/') != std::string::npos && !weir::can_append(log)) {
      problems.push_back(log + ": cannot be written");
    }
    return problems;
  };
  for (const std::string& problem : weir::seen_as(snapshot.user, load_again)) {
    std::fprintf(stderr, "warning: as user %s: %s; a reload would fail\n", snapshot.user.c_str(),
                 problem.c_str());
  }
}

// Null after printing what is wrong. Warnings are printed, too.
std::shared_ptr<const weir::proxy::Snapshot> load(const std::string& path,
                                                  weir::upstream::StateRegistry& states) {
  const weir::config::LoadResult loaded =
      weir::config::load(path, weir::config::system_environment(states, weir::proxy::labels()));
  for (const std::string& line : loaded.errors) std::fprintf(stderr, "%s\n", line.c_str());
  for (const std::string& line : loaded.warnings) std::fprintf(stderr, "%s\n", line.c_str());
  if (!loaded.ok()) {
    std::fprintf(stderr, "%s: %zu error%s\n", path.c_str(), loaded.errors.size(),
                 loaded.errors.size() == 1 ? "" : "s");
    return nullptr;
  }
  return loaded.snapshot;
}

int check(const std::string& path) {
  weir::upstream::StateRegistry states;
  const std::shared_ptr<const weir::proxy::Snapshot> snapshot = load(path, states);
  if (snapshot == nullptr) return 1;
  warn_of_lost_access(path, *snapshot);
  std::printf("%s: ok\n", path.c_str());
  return 0;
}

// Of the weir that was started with that file. Where it names no admin, nobody can be asked; nor
// where it is no good any more, and a reload would leave the old configuration in force.
int live(const std::string& path) {
  weir::upstream::StateRegistry states;
  weir::Result<std::string> address = weir::config::admin_address(
      path, weir::config::system_environment(states, weir::proxy::labels()));
  if (!address.ok() || address.value().empty()) {
    std::fprintf(stderr, "weir: %s: not asked\n",
                 address.ok() ? (path + ": has no admin").c_str() : address.error().c_str());
    return 0;
  }
  return weir::print_live({address.value(), {}});
}

int explain(const std::string& path, const weir::ExplainRequest& request) {
  weir::upstream::StateRegistry states;
  const std::shared_ptr<const weir::proxy::Snapshot> snapshot = load(path, states);
  if (snapshot == nullptr) return 1;
  const weir::Explanation explanation = weir::explain(*snapshot, request);
  std::fputs(explanation.text.c_str(), stdout);
  return explanation.taken ? 0 : 1;
}

void print_version() {
  std::printf("weir %s (%s)\nc-ares %s\nlibuv %s\nllhttp %s\nnghttp2 %s\n", weir::kVersion,
              weir::kCommit, weir::net::resolver_version(), weir::net::loop_version(),
              weir::http::parser_version(), weir::http::h2_library_version());
}

// A command that speaks to the admin address of a running weir.
CLI::App* add_admin_command(CLI::App& app, const char* name, const char* what,
                            weir::admin::Target& target) {
  CLI::App* command = app.add_subcommand(name, what);
  command->add_option("--admin", target.address, "The admin address: host:port or unix:/path")
      ->capture_default_str();
  command->add_option("--token", target.token, "The admin token; better given by the variable")
      ->envname("WEIR_ADMIN_TOKEN");
  return command;
}

CLI::App* add_purge_command(CLI::App& app, weir::admin::Target& target,
                            weir::PurgeRequest& request) {
  CLI::App* purge = add_admin_command(
      app, "purge", "Make answers void that the cache of a running weir keeps", target);
  CLI::Option_group* what = purge->add_option_group("what");
  what->add_option("url", request.url, "One URL, with all its variants");
  what->add_option("--prefix", request.prefix, "All URLs that begin so");
  what->add_option("--tag", request.tag, "All answers with this tag");
  what->add_flag("--all", request.all, "Everything");
  what->require_option(1);
  purge->add_flag("--soft", request.soft, "Have them validated before they are used again");
  return purge;
}

CLI::App* add_reset_command(CLI::App& app, weir::admin::Target& target,
                            weir::ResetRequest& request) {
  CLI::App* reset = add_admin_command(
      app, "reset", "Have a key of a rate limit of a running weir begin anew", target);
  reset->add_option("limit", request.limit, "The limit's name")->required();
  reset->add_option("key", request.key, "As explain shows it: client_ip=192.0.2.1")->required();
  return reset;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("weir: reverse proxy and edge load balancer", "weir");
  app.require_subcommand(1);
  std::string path = kDefaultConfig;
  CLI::App* run = app.add_subcommand("run", "Run the daemon in the foreground");
  run->add_option("-c,--config", path, "The configuration file")->capture_default_str();
  CLI::App* validate =
      app.add_subcommand("check", "Validate a configuration and print every error");
  validate->add_option("-c,--config", path, "The configuration file")->capture_default_str();
  weir::ExplainRequest asked;
  CLI::App* explained =
      app.add_subcommand("explain", "Show what would take a request, and why; sends nothing");
  explained->add_option("-c,--config", path, "The configuration file")->capture_default_str();
  explained->add_option("-X,--request", asked.method, "The method")->capture_default_str();
  explained->add_option("-H,--header", asked.headers, "A header, 'Name: value'; may be repeated")
      ->expected(1)
      ->take_all();
  explained->add_option("url", asked.url, "http://host[:port]/path?query")->required();
  CLI::App* version = app.add_subcommand("version", "Print version, commit and library versions");
  // One target each: a variable of the environment fills the options of every command.
  weir::admin::Target status_target = {kDefaultAdmin, {}};
  weir::admin::Target reload_target = status_target;
  CLI::App* status =
      add_admin_command(app, "status", "Show the state of a running weir", status_target);
  bool only_live = false;
  CLI::Option* live_flag = status->add_flag(
      "--live", only_live, "Only whether it lives, for probes: of the weir that FILE configures");
  live_flag->excludes("--admin");
  status->add_option("-c,--config", path, "The configuration file")
      ->capture_default_str()
      ->needs(live_flag);
  CLI::App* reload = add_admin_command(
      app, "reload", "Make a running weir load its configuration again, and show what changed",
      reload_target);
  weir::admin::Target drain_target = status_target;
  weir::ServerOrder order;
  bool take_down = false;
  bool undo = false;
  CLI::App* drain = add_admin_command(
      app, "drain", "Give a server of a running weir no new requests", drain_target);
  drain->add_option("upstream", order.upstream, "The upstream's name")->required();
  drain->add_option("server", order.server, "The server's address as configured")->required();
  drain->add_flag("--down", take_down, "Not even for clients that are bound to it");
  drain->add_flag("--undo", undo, "It takes requests again")->excludes("--down");
  weir::admin::Target purge_target = status_target;
  weir::PurgeRequest purged;
  CLI::App* purge = add_purge_command(app, purge_target, purged);
  weir::admin::Target reset_target = status_target;
  weir::ResetRequest reset_request;
  CLI::App* reset = add_reset_command(app, reset_target, reset_request);
  CLI11_PARSE(app, argc, argv);

  if (version->parsed()) {
    print_version();
    return 0;
  }
  if (validate->parsed()) return check(path);
  if (status->parsed()) return only_live ? live(path) : weir::print_status(status_target);
  if (reload->parsed()) return weir::reload_and_print(reload_target);
  if (explained->parsed()) return explain(path, asked);
  if (purge->parsed()) return weir::purge_and_print(purge_target, purged);
  if (reset->parsed()) return weir::reset_and_print(reset_target, reset_request);
  if (drain->parsed()) {
    if (take_down) order.state = "down";
    if (undo) order.state = "up";
    return weir::set_server_and_print(drain_target, order);
  }
  return weir::Daemon(path).run();
}
