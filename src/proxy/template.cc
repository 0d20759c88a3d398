#include "proxy/template.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace weir::proxy {

namespace {

constexpr std::array<std::pair<std::string_view, Variable>, 11> kVariables = {{
    {"scheme", Variable::kScheme},
    {"host", Variable::kHost},
    {"uri", Variable::kUri},
    {"path", Variable::kPath},
    {"query", Variable::kQuery},
    {"client_ip", Variable::kClientIp},
    {"request_id", Variable::kRequestId},
    {"upstream", Variable::kUpstream},
    {"status", Variable::kStatus},
    {"method", Variable::kMethod},
    {"csp_nonce", Variable::kCspNonce},
}};

bool is_name_byte(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<Template> Template::parse(std::string_view text) {
  Template out;
  std::string literal;
  const auto add = [&](Part part) {
    if (!literal.empty()) {
      out.parts_.push_back({Kind::kLiteral, Variable::kScheme, 0, std::move(literal)});
    }
    literal.clear();
    if (part.kind == Kind::kLiteral) return;
    out.constant_ = false;
    out.parts_.push_back(std::move(part));
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if ((text[i] == '$' || text[i] == '\\') && next == text[i]) {
      literal += text[i++];
      continue;
    }
    if (text[i] == '\\' && is_digit(next)) {
      const auto index = static_cast<uint8_t>(next - '0');
      out.highest_capture_ = std::max<int>(out.highest_capture_, index);
      add({Kind::kCapture, Variable::kScheme, index, {}});
      ++i;
      continue;
    }
    if (text[i] != '$') {
      literal += text[i];
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && is_name_byte(text[end])) ++end;
    const std::string_view name = text.substr(i + 1, end - i - 1);
    const auto* known = kVariables.begin();
    while (known != kVariables.end() && known->first != name) ++known;
    if (known == kVariables.end()) {
      std::string why = "unknown variable \"$" + std::string(name) + "\"; known are";
      for (const auto& [variable_name, variable] : kVariables) {
        why += " $" + std::string(variable_name);
      }
      return Result<Template>::failure(why + "; \"$$\" is a dollar");
    }
    add({Kind::kVariable, known->second, 0, {}});
    i = end - 1;
  }
  add({});
  return out;
}

bool Template::names(Variable variable) const {
  return std::any_of(parts_.begin(), parts_.end(), [variable](const Part& part) {
    return part.kind == Kind::kVariable && part.variable == variable;
  });
}

std::string_view Template::render_parts(VariableSource& source, Arena& arena) const {
  size_t size = 0;
  auto* values = static_cast<std::string_view*>(
      arena.allocate(parts_.size() * sizeof(std::string_view), alignof(std::string_view)));
  for (size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    switch (part.kind) {
      case Kind::kLiteral: values[i] = part.text; break;
      case Kind::kVariable: values[i] = source.variable(part.variable, arena); break;
      case Kind::kCapture: values[i] = source.capture(part.capture); break;
    }
    size += values[i].size();
  }
  char* text = static_cast<char*>(arena.allocate(size, 1));
  char* at = text;
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (!values[i].empty()) std::memcpy(at, values[i].data(), values[i].size());
    at += values[i].size();
  }
  return {text, size};
}

}  // namespace weir::proxy
