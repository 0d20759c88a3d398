#include "filters/expires.h"

#include <string>
#include <utility>

#include "filters/shared_settings.h"
#include "http/date.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"

namespace weir::filters {

namespace {

constexpr uint64_t kYearMs = uint64_t{31'536'000} * 1000;

struct Options {
  std::string cache_control;
  std::string fixed_date;  // empty: `after_s` from now
  uint64_t after_s = 0;
};

bool applies_to(int status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308: return true;
    default: return false;
  }
}

class Expires : public proxy::Filter {
 public:
  explicit Expires(const Options& options) : options_(options) {}

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    if (!applies_to(head.status)) return proxy::Next{};
    head.headers.set("Expires", date(context.exchange()));
    head.headers.set("Cache-Control", options_.cache_control);
    return proxy::Next{};
  }

 private:
  std::string_view date(proxy::Exchange& exchange) const {
    if (!options_.fixed_date.empty()) return options_.fixed_date;
    const uint64_t now_s = exchange.worker().wall_us() / 1'000'000;
    char text[http::kDateChars];
    http::format_date(static_cast<std::time_t>(now_s + options_.after_s), text);
    return exchange.arena().copy({text, sizeof(text)});
  }

  const Options& options_;  // the snapshot's, which the exchange pins
};

class Factory : public SharedFactory<Expires, Options> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "expires"; }
};

}  // namespace

SettingsPtr expires_standard() { return nullptr; }

SettingsPtr expires_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  Options options;
  uint64_t after_ms = 0;
  if (value.text == "epoch") {
    options = {"no-cache", "Thu, 01 Jan 1970 00:00:01 GMT", 0};
  } else if (value.text == "max") {
    options = {"max-age=315360000", "Thu, 31 Dec 2037 23:55:55 GMT", 0};
  } else if (options::read_duration_ms(value, reading.problems, {0, 10 * kYearMs}, after_ms)) {
    options.after_s = after_ms / 1000;
    options.cache_control = "max-age=" + std::to_string(options.after_s);
  }
  return shared_settings<Factory>(std::move(options));
}

}  // namespace weir::filters
