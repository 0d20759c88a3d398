#include "filters/csrf.h"

#include <optional>
#include <utility>

#include "filters/origins.h"
#include "filters/shared_settings.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

// Immutable; part of the snapshot.
struct Options {
  Origins trusted;
};

bool changes_something(const http::RequestHead& head) {
  switch (head.method) {
    case http::Method::kGet:
    case http::Method::kHead:
    case http::Method::kOptions:
    case http::Method::kTrace: return !head.upgrade.empty();
    default: return true;
  }
}

// "https://a.test:8443" of "https://a.test:8443/x?y".
std::string_view origin_of_url(std::string_view url) {
  const size_t mark = url.find("://");
  return mark == std::string_view::npos ? url : url.substr(0, url.find_first_of("/?#", mark + 3));
}

// Nothing: there is no such field. Of several each has to be good: servers may believe any of them.
template <typename IsGood>
std::optional<bool> are_good(const http::HeaderList& headers, std::string_view name,
                             IsGood is_good) {
  std::optional<bool> good;
  for (const http::Header& header : headers) {
    if (iequals(header.name, name)) good = good.value_or(true) && is_good(header.value);
  }
  return good;
}

class Csrf : public proxy::Filter {
 public:
  explicit Csrf(const Options& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    if (!changes_something(head) || is_welcome(context.exchange().scheme(), head)) {
      return proxy::Next{};
    }
    return proxy::LocalReply{403, {{"Cache-Control", "no-store"}}, {}, "sent by another site"};
  }

 private:
  bool is_welcome(std::string_view scheme, const http::RequestHead& head) const {
    const auto is_trusted = [&](std::string_view origin) {
      return options_.trusted.contains(origin);
    };
    const auto is_known = [&](std::string_view origin) {
      return is_origin_of(origin, scheme, head.authority) || is_trusted(origin);
    };
    if (are_good(head.headers, "Origin", is_trusted).value_or(false)) return true;
    const std::optional<bool> fetched_here =
        are_good(head.headers, "Sec-Fetch-Site", [](std::string_view site) {
          return site == "same-origin" || site == "none";  // none: the user himself
        });
    if (fetched_here) return *fetched_here;
    if (const auto known = are_good(head.headers, "Origin", is_known)) return *known;
    const auto is_known_page = [&](std::string_view url) { return is_known(origin_of_url(url)); };
    return are_good(head.headers, "Referer", is_known_page).value_or(true);
  }

  const Options& options_;  // the snapshot's, which the exchange pins
};

class Factory : public SharedFactory<Csrf, Options> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "csrf"; }
};

}  // namespace

SettingsPtr csrf_standard() { return nullptr; }

SettingsPtr csrf_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  options::Problems& problems = reading.problems;
  Options options;
  options::MapReader map(value, problems);
  if (const options::Node* node = map.find("trusted_origins")) {
    const size_t errors = problems.error_count();
    read_origins(*node, "leave it out", problems, options.trusted);
    // "null" too, because * takes it as well.
    if (problems.error_count() == errors && options.trusted.contains("null")) {
      problems.error(*node, "trusts pages of everybody", "csrf: off checks nothing");
    }
  }
  map.finish();
  return shared_settings<Factory>(std::move(options));
}

}  // namespace weir::filters
