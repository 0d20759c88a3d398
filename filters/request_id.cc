#include "filters/request_id.h"

#include <string>
#include <utility>

#include "filters/header_name.h"
#include "filters/shared_settings.h"
#include "http/rules.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

struct Options {
  std::string header = "X-Request-Id";
  bool trust = false;
};

class RequestId : public proxy::Filter {
 public:
  explicit RequestId(const Options& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    proxy::Exchange& exchange = context.exchange();
    if (options_.trust) {
      const http::Header* sent = head.headers.find(options_.header);
      if (sent != nullptr && is_acceptable_request_id(sent->value)) {
        exchange.set_request_id(sent->value);
      }
    }
    // Look-alikes as well: X_Request_Id is the same variable to many a server.
    head.headers.remove_if([this](const http::Header& header) {
      return http::same_variable(header.name, options_.header);
    });
    head.headers.add(options_.header, exchange.request_id());
    return proxy::Next{};
  }

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    head.headers.set(options_.header, context.exchange().request_id());
    return proxy::Next{};
  }

 private:
  const Options& options_;  // the snapshot's, which the exchange pins
};

class Factory : public SharedFactory<RequestId, Options> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "request_id"; }
  bool is_for_any_answer() const override { return true; }
};

}  // namespace

bool is_acceptable_request_id(std::string_view id) {
  constexpr size_t kMax = 128;
  if (id.empty() || id.size() > kMax) return false;
  for (const char c : id) {
    const bool fine = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '_' || c == '-';
    if (!fine) return false;
  }
  return true;
}

SettingsPtr request_id_standard() { return shared_settings<Factory>(Options()); }

// The nearest level wins whole: nothing is taken over from the outer one.
SettingsPtr request_id_read(const options::Node& value, const SettingsPtr&,
                            const Reading& reading) {
  options::Problems& problems = reading.problems;
  Options options;
  options::MapReader map(value, problems);
  if (const options::Node* header = map.find("header")) {
    if (options::read_string(*header, problems, options.header)) {
      check_filled_header_name(*header, options.header, problems);
    }
  }
  map.boolean("trust", options.trust);
  map.finish();
  return shared_settings<Factory>(std::move(options));
}

}  // namespace weir::filters
