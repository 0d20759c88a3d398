#include "admin/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "admin/json.h"
#include "base/escape.h"

namespace weir::admin {

namespace {

// Readers that take any JSON: what is missing or of another kind is empty or 0.

const Json& at(const Json& object, const char* key) {
  static const Json kNothing;
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() ? kNothing : *found;
}

std::string safe(std::string_view text) {
  std::string out(text.size() * kEscapedMax, '\0');
  out.resize(static_cast<size_t>(escape_text(text, out.data()) - out.data()));
  return out;
}

std::string text_of(const Json& value) {
  if (value.is_string()) return safe(value.get_ref<const std::string&>());
  if (value.is_number_float()) return fmt::format("{:.1f}", value.get<double>());
  return value.is_number() ? value.dump() : std::string();
}

uint64_t number_of(const Json& value) {
  return value.is_number_unsigned() ? value.get<uint64_t>() : 0;
}

bool is_true(const Json& value) { return value.is_boolean() && value.get<bool>(); }

// Columns as wide as their widest cell. Numbers stand to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.size() == 1; }

  std::string text() const {
    std::vector<size_t> widths(rows_[0].size());
    for (const auto& row : rows_) {
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (size_t i = 0; i < row.size(); ++i) {
        const bool number = rows_.size() > 1 && is_number(rows_[1][i]);
        line += number ? fmt::format("{:>{}}  ", row[i], widths[i])
                       : fmt::format("{:<{}}  ", row[i], widths[i]);
      }
      out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
  }

 private:
  static bool is_number(const std::string& cell) {
    return !cell.empty() && cell.find_first_not_of("0123456789.") == std::string::npos;
  }
  std::vector<std::vector<std::string>> rows_;
};

std::string uptime_text(uint64_t seconds) {
  const uint64_t minutes = seconds / 60;
  const uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{}d {}h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{}h {}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m {}s", minutes, seconds % 60);
  return fmt::format("{}s", seconds);
}

std::string first_line(const Json& receipt) {
  const std::string number = text_of(at(receipt, "number"));
  const char* const result = is_true(at(receipt, "ok")) ? "ok" : "failed";
  return fmt::format("load {} at {}, asked for by {}: {}", number, text_of(at(receipt, "time")),
                     text_of(at(receipt, "cause")), result);
}

void add_lines(std::string& out, const Json& lines) {
  if (!lines.is_array()) return;
  for (const Json& line : lines) out += text_of(line) + "\n";
}

void add_names(std::string& out, char sign, const std::string& part, const Json& names) {
  if (!names.is_array()) return;
  for (const Json& name : names) out += fmt::format("  {} {:<10} {}\n", sign, part, text_of(name));
}

std::string changes_text(const Json& changes) {
  std::string out;
  if (!changes.is_object()) return out;
  for (const auto& [part, lists] : changes.items()) {
    const std::string name = safe(part);
    add_names(out, '+', name, at(lists, "added"));
    add_names(out, '-', name, at(lists, "removed"));
    add_names(out, '~', name, at(lists, "changed"));
    if (const uint64_t more = number_of(at(lists, "left_out")); more > 0) {
      out += fmt::format("    {:<10} and {} more\n", name, more);
    }
  }
  return out.empty() ? "  nothing changed\n" : out;
}

std::string head_lines(const Json& status, const Json& health) {
  uint64_t connections = 0;
  uint64_t requests = 0;
  const Json& workers = at(status, "workers");
  for (const Json& worker : workers) {
    connections += number_of(at(worker, "active_connections"));
    requests += number_of(at(worker, "requests_in_flight"));
  }
  const std::string state = is_true(at(status, "draining")) ? "draining, " : "";
  std::string out = fmt::format("weir {} ({}): {}{}, up {}\n", text_of(at(status, "version")),
                                text_of(at(status, "commit")), state, text_of(at(health, "status")),
                                uptime_text(number_of(at(status, "uptime_s"))));
  out += fmt::format("workers: {}; connections: {}; requests in flight: {}\n", workers.size(),
                     connections, requests);
  const Json& receipt = at(status, "last_reload");
  if (!receipt.is_object()) return out;
  out += "configuration: " + first_line(receipt) + "\n";
  add_lines(out, at(receipt, "errors"));
  return out;
}

std::string listeners_text(const Json& status) {
  Table table({"LISTENER", "ADDRESS"});
  for (const Json& listener : at(status, "listeners")) {
    table.add({text_of(at(listener, "name")), text_of(at(listener, "address"))});
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string servers_text(const Json& status) {
  Table table({"UPSTREAM", "SERVER", "STATE", "IN FLIGHT", "FAILS", "WEIGHT", "REASON"});
  for (const auto& [name, upstream] : at(status, "upstreams").items()) {
    for (const Json& server : at(upstream, "servers")) {
      const char* const backup = is_true(at(server, "backup")) ? " (backup)" : "";
      table.add({safe(name), text_of(at(server, "address")), text_of(at(server, "state")) + backup,
                 text_of(at(server, "in_flight")), text_of(at(server, "fails")),
                 text_of(at(server, "weight")), text_of(at(server, "reason"))});
    }
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string routes_text(const Json& status) {
  Table table({"ROUTE", "REQUESTS", "2XX", "3XX", "4XX", "5XX", "P50 MS", "P95 MS", "P99 MS"});
  for (const Json& route : at(status, "routes")) {
    std::vector<std::string> row;
    for (const char* key :
         {"route", "requests", "2xx", "3xx", "4xx", "5xx", "p50_ms", "p95_ms", "p99_ms"}) {
      row.push_back(text_of(at(route, key)));
    }
    table.add(std::move(row));
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string splits_text(const Json& status) {
  Table table({"SPLIT OF", "UPSTREAM", "WEIGHT %", "REQUESTS", "STATE"});
  for (const Json& split : at(status, "splits")) {
    for (const Json& side : at(split, "to")) {
      table.add({text_of(at(split, "route")), text_of(at(side, "upstream")),
                 text_of(at(side, "weight")), text_of(at(side, "requests")),
                 is_true(at(side, "rolled_back")) ? "rolled back" : ""});
    }
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string mirrors_text(const Json& status) {
  Table table({"MIRROR OF", "UPSTREAM", "SAME", "DIFFERENT", "FAILED", "SKIPPED", "UNCOMPARED"});
  for (const Json& mirror : at(status, "mirrors")) {
    std::vector<std::string> row;
    for (const char* key :
         {"route", "upstream", "same", "different", "failed", "skipped", "uncompared"}) {
      row.push_back(text_of(at(mirror, key)));
    }
    table.add(std::move(row));
  }
  return table.empty() ? "" : "\n" + table.text();
}

constexpr const char* kNotOurs = "the answer is not that of a weir";

Json parse(std::string_view text) { return Json::parse(text, nullptr, false); }

}  // namespace

Result<std::string> status_report(std::string_view status_json, std::string_view health_json) {
  const Json status = parse(status_json);
  const Json health = parse(health_json);
  if (!at(status, "version").is_string() || !at(health, "status").is_string()) {
    return Result<std::string>::failure(kNotOurs);
  }
  return head_lines(status, health) + listeners_text(status) + servers_text(status) +
         routes_text(status) + splits_text(status) + mirrors_text(status);
}

Result<ReloadReport> reload_report(std::string_view receipt_json) {
  const Json receipt = parse(receipt_json);
  ReloadReport report;
  if (is_true(at(receipt, "pending"))) {
    report.text = "the reload is not over yet; weir status will tell\n";
    return report;
  }
  if (!at(receipt, "ok").is_boolean()) return Result<ReloadReport>::failure(kNotOurs);
  report.ok = is_true(at(receipt, "ok"));
  add_lines(report.text, at(receipt, "warnings"));
  add_lines(report.text, at(receipt, "errors"));
  if (report.ok) {
    report.text += first_line(receipt) + "\n" + changes_text(at(receipt, "changes"));
  } else {
    report.text += "reload failed, the old configuration stays\n";
  }
  return report;
}

Result<std::string> server_report(std::string_view server_json) {
  const Json server = parse(server_json);
  if (at(server, "error").is_string()) return text_of(at(server, "error"));
  if (!at(server, "state").is_string()) return Result<std::string>::failure(kNotOurs);
  std::string text = fmt::format("{}: {}: {}", text_of(at(server, "upstream")),
                                 text_of(at(server, "address")), text_of(at(server, "state")));
  const std::string reason = text_of(at(server, "reason"));
  if (!reason.empty()) text += ", " + reason;
  text += fmt::format("; {} requests under way\n", number_of(at(server, "in_flight")));
  const std::string warning = text_of(at(server, "warning"));
  if (!warning.empty()) text += "warning: " + warning + "\n";
  return text;
}

std::string purge_json(const proxy::PurgeOrder& order) {
  using What = proxy::PurgeOrder::What;
  Json json = Json::object();
  switch (order.what) {
    case What::kUrl: json["url"] = order.text; break;
    case What::kPrefix: json["prefix"] = order.text; break;
    case What::kTag: json["tag"] = order.text; break;
    case What::kAll: json["all"] = true; break;
  }
  if (order.soft) json["soft"] = true;
  return to_line(json);
}

Result<std::string> purge_report(std::string_view answer_json) {
  const Json answer = parse(answer_json);
  if (at(answer, "error").is_string()) return text_of(at(answer, "error"));
  if (!at(answer, "purged").is_number_unsigned()) return Result<std::string>::failure(kNotOurs);
  const uint64_t purged = number_of(at(answer, "purged"));
  return fmt::format("purged: {} answer{}\n", purged, purged == 1 ? "" : "s");
}

std::string reset_json(const std::string& limit, const std::string& key) {
  return to_line(Json::object({{"limit", limit}, {"key", key}}));
}

Result<std::string> reset_report(std::string_view answer_json) {
  const Json answer = parse(answer_json);
  if (at(answer, "error").is_string()) return text_of(at(answer, "error"));
  if (!is_true(at(answer, "reset"))) return Result<std::string>::failure(kNotOurs);
  return fmt::format("reset: {}: {}\n", text_of(at(answer, "limit")), text_of(at(answer, "key")));
}

}  // namespace weir::admin
