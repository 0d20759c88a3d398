#include "filters/security_headers.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <span>
#include <utility>

#include "base/strings.h"
#include "http/rules.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

// All lines of that name and one more value, as one.
std::string_view joined(const http::HeaderList& headers, std::string_view name,
                        std::string_view value) {
  std::string_view all;
  for (const http::Header& header : headers) {
    if (!iequals(header.name, name) || header.value.empty()) continue;
    all = all.empty() ? header.value : headers.arena().concat({all, ", ", header.value});
  }
  return all.empty() ? value : headers.arena().concat({all, ", ", value});
}

class SecurityHeadersFilter : public proxy::Filter {
 public:
  explicit SecurityHeadersFilter(const SecurityHeaders& edits) : edits_(edits) {}

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    constexpr int kNotModified = 304;
    proxy::Exchange& exchange = context.exchange();
    apply(edits_, exchange.scheme() == "https", head.status != kNotModified, exchange,
          head.headers);
    return proxy::Next{};
  }

 private:
  const SecurityHeaders& edits_;  // the snapshot's, which the exchange pins
};

class Factory : public proxy::FilterFactory {
 public:
  explicit Factory(std::shared_ptr<const SecurityHeaders> edits) : edits_(std::move(edits)) {}
  std::string_view name() const override { return "security_headers"; }
  proxy::FilterParts parts() const override { return proxy::parts_of<SecurityHeadersFilter>(); }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<SecurityHeadersFilter>(*edits_);
  }
  bool is_for_any_answer() const override { return true; }

 private:
  const std::shared_ptr<const SecurityHeaders> edits_;
};

class SecuritySettings : public Settings {
 public:
  explicit SecuritySettings(std::shared_ptr<const SecurityHeaders> edits)
      : edits_(std::move(edits)) {}
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return std::make_unique<Factory>(edits_);
  }

 private:
  const std::shared_ptr<const SecurityHeaders> edits_;  // shared by all routes of the level
};

// A map of its own that forgets it; where it names the field with `off`, that is meant.
bool lacks_hsts(const options::Node& value) {
  if (value.kind != options::Kind::kMap || value.find("base") != nullptr) return false;
  return std::none_of(value.children.begin(), value.children.end(), [](const auto& field) {
    return iequals(field->key, "Strict-Transport-Security");
  });
}

}  // namespace

void apply(const SecurityHeaders& edits, bool https, bool nonce_holds,
           proxy::VariableSource& variables, http::HeaderList& headers) {
  uint64_t present = 0;  // of edits.fields
  headers.remove_if([&](const http::Header& header) {
    for (uint64_t left = edits.by_size[header.name.size() & 63]; left != 0; left &= left - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(left));
      const SecurityField& field = edits.fields[i];
      if (!header.is(field.id, field.name)) continue;
      if (field.mode == SecurityMode::kOverride || field.mode == SecurityMode::kRemove) return true;
      if (field.https_only && !https) return true;
      present |= uint64_t{1} << i;
      return false;
    }
    return false;
  });
  if (present == 0 && edits.constant) {
    return headers.add(std::span(edits.added).subspan(https ? 0 : edits.in_clear));
  }
  for (size_t i = 0; i < edits.fields.size(); ++i) {
    const SecurityField& field = edits.fields[i];
    const bool is_present = (present >> i & 1) != 0;
    if (field.mode == SecurityMode::kRemove || (field.https_only && !https)) continue;
    if (field.mode == SecurityMode::kSetIfAbsent && is_present) continue;
    std::string_view value;
    if (field.value.is_constant()) {
      value = field.value.render(variables, headers.arena());
    } else {
      if (!nonce_holds && field.value.names(proxy::Variable::kCspNonce)) continue;
      value = field.value.render(variables, headers.arena());
      if (!http::is_field_value(value)) continue;
    }
    if (is_present) {  // kAppend
      value = joined(headers, field.name, value);
      headers.remove(field.name);
    }
    headers.add(field.name, value, field.id);
  }
}

SettingsPtr security_headers_standard() { return nullptr; }

SettingsPtr security_headers_read(const options::Node& value, const SettingsPtr&,
                                  const Reading& reading) {
  std::shared_ptr<const SecurityHeaders> edits = read_security_headers(value, reading.problems);
  if (edits == nullptr) return nullptr;
  if (reading.https && lacks_hsts(value)) {
    reading.problems.warning(value, "has no Strict-Transport-Security, though there is https",
                             "base: standard, or Strict-Transport-Security: {max_age: 1y}");
  }
  return std::make_shared<SecuritySettings>(std::move(edits));
}

}  // namespace weir::filters
