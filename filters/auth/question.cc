#include "filters/auth/question.h"

#include <algorithm>

#include "base/strings.h"
#include "filters/auth/place.h"
#include "http/rules.h"

namespace weir::filters::auth {

namespace {

// By Traefik's names, and by those that are usual with nginx.
constexpr std::string_view kMethodFields[] = {"X-Forwarded-Method", "X-Original-Method"};
constexpr std::string_view kTargetFields[] = {"X-Forwarded-Uri", "X-Original-URI"};
constexpr std::string_view kUrlField = "X-Original-URL";

bool is_told(std::string_view name) {
  const auto alike = [name](std::string_view told) { return http::same_variable(told, name); };
  return std::any_of(std::begin(kMethodFields), std::end(kMethodFields), alike) ||
         std::any_of(std::begin(kTargetFields), std::end(kTargetFields), alike) || alike(kUrlField);
}

// Conditions and ranges are about what the client asked for, not about who it is.
bool is_about_the_resource(std::string_view name) {
  constexpr std::string_view kFields[] = {
      "range", "if-range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since"};
  return std::any_of(std::begin(kFields), std::end(kFields),
                     [name](std::string_view field) { return iequals(field, name); });
}

}  // namespace

bool are_named(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](const std::string& entry) { return iequals(entry, name); });
}

bool are_alike(const Names& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [name](const std::string& entry) { return http::same_variable(entry, name); });
}

bool Question::goes_along(const http::Header& field, const Names& not_clients) const {
  const bool named = request_headers && are_named(*request_headers, field.name);
  if (request_headers && !named) return false;
  if (http::is_hop_by_hop(field) || is_about_the_resource(field.name)) return false;
  if (is_told(field.name)) return false;
  return named || !are_alike(not_clients, field.name);
}

void Question::ask(const http::RequestHead& request, std::string_view scheme,
                   const Names& not_clients, http::RequestHead& out) const {
  Arena& arena = out.headers.arena();
  set_target(target, out);
  out.authority = host.empty() ? request.authority : std::string_view(host);
  out.host = http::host_of(out.authority, arena);
  for (const http::Header& field : request.headers) {
    if (goes_along(field, not_clients)) out.headers.add(field);
  }
  for (const std::string_view name : kMethodFields) out.headers.add(name, request.method_text);
  for (const std::string_view name : kTargetFields) out.headers.add(name, request.target);
  out.headers.add(kUrlField, arena.concat({scheme, "://", request.authority, request.target}));
}

}  // namespace weir::filters::auth
