#include "filters/access.h"

#include <string>
#include <utility>
#include <vector>

#include "filters/shared_settings.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

constexpr size_t kBlocksMax = 200'000;  // some 20 MB

enum class Listed : uint8_t { kPass, kRefuse };

struct Rule {
  Listed listed = Listed::kPass;
  http::AddressSet addresses;
};

class Access : public proxy::Filter {
 public:
  explicit Access(const Rule& rule) : rule_(rule) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead&) override {
    const bool listed = rule_.addresses.contains(context.exchange().client().client);
    if (listed == (rule_.listed == Listed::kPass)) return proxy::Next{};
    return proxy::LocalReply{403, {{"Cache-Control", "no-store"}}, {}, "address not allowed"};
  }

 private:
  const Rule& rule_;  // the snapshot's, which the exchange pins
};

class Factory : public SharedFactory<Access, Rule> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override {
    return options().listed == Listed::kPass ? "allow" : "deny";
  }
};

SettingsPtr read(const options::Node& value, Listed listed, options::Problems& problems) {
  Rule rule = {listed, {}};
  if (!read_addresses(value, problems, rule.addresses)) return nullptr;
  return shared_settings<Factory>(std::move(rule));
}

}  // namespace

bool read_addresses(const options::Node& value, options::Problems& problems,
                    http::AddressSet& out) {
  std::vector<const options::Node*> items;
  if (!options::read_list(value, problems, items)) return false;
  if (items.empty()) {
    // Nobody, or everybody? Only one of the two is meant, and which is no place for a guess.
    problems.error(value, "is empty", "off switches it off");
  } else if (items.size() > kBlocksMax) {
    problems.error(value, "more than " + std::to_string(kBlocksMax) + " blocks of addresses");
    return false;
  }
  for (const options::Node* item : items) {
    std::string text;
    if (options::read_string(*item, problems, text) && !out.add(text)) {
      problems.invalid(*item, "a block of addresses", "as in 10.0.0.0/8, ::1 or fd00::/8");
    }
  }
  out.seal();
  return true;
}

SettingsPtr access_standard() { return nullptr; }

SettingsPtr allow_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  return read(value, Listed::kPass, reading.problems);
}

SettingsPtr deny_read(const options::Node& value, const SettingsPtr&, const Reading& reading) {
  return read(value, Listed::kRefuse, reading.problems);
}

}  // namespace weir::filters
