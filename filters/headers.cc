#include "filters/headers.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "filters/header_name.h"
#include "http/rules.h"
#include "proxy/exchange.h"

namespace weir::filters {

namespace {

using options::MapReader;
using options::Node;
using options::Problems;

constexpr size_t kEditsMax = 200;  // per level and direction; names are compared pairwise

enum class Direction : uint8_t { kRequest, kResponse };

// False when a variable brought something that no field may hold; the list is then unchanged.
bool apply(const HeaderEdit& edit, proxy::Exchange& exchange, http::HeaderList& headers) {
  if (edit.mode == HeaderMode::kRemove) {
    headers.remove(edit.name);
    return true;
  }
  if (edit.mode == HeaderMode::kSetIfAbsent && headers.find(edit.name) != nullptr) return true;
  const std::string_view value = edit.value.render(exchange, headers.arena());
  if (!edit.value.is_constant() && !http::is_field_value(value)) return false;
  if (edit.mode == HeaderMode::kSet) {
    headers.set(edit.name, value);
  } else {
    headers.add(edit.name, value);
  }
  return true;
}

bool is_host(const HeaderEdit& edit) { return iequals(edit.name, "host"); }

// The client's own value is not to reach the server.
bool replaces(const HeaderEdit& edit) {
  return edit.mode == HeaderMode::kSet || edit.mode == HeaderMode::kRemove;
}

// Of the fields that tell servers of the client, those that an edit takes from weir.
uint64_t taken_over(const std::vector<HeaderEdit>& edits) {
  uint64_t ids = 0;
  for (const HeaderEdit& edit : edits) ids |= http::bit(http::classify(edit.name));
  return ids & http::kForwardingMask;
}

// A backend that makes variables of names takes X_Tenant for the X-Tenant that is set here.
void remove_look_alikes(const std::vector<HeaderEdit>& edits, http::HeaderList& headers) {
  headers.remove_if([&edits](const http::Header& header) {
    if (header.name.find('_') == std::string_view::npos) return false;
    return std::any_of(edits.begin(), edits.end(), [&header](const HeaderEdit& edit) {
      return replaces(edit) && http::same_variable(header.name, edit.name);
    });
  });
}

class HeadersFilter : public proxy::Filter {
 public:
  HeadersFilter(const HeaderEdits& edits, uint64_t taken_over_fields)
      : edits_(edits), taken_over_(taken_over_fields) {}

  // Behind all other filters: they see what the client has sent, and the server gets what the
  // operator wrote.
  std::optional<proxy::LocalReply> on_passed(proxy::FilterContext& context,
                                             http::RequestHead& head) override {
    if (!edits_.request.empty()) remove_look_alikes(edits_.request, head.headers);
    context.exchange().take_over_fields(taken_over_);
    for (const HeaderEdit& edit : edits_.request) {
      const bool applied = is_host(edit) ? render_host(edit, context.exchange())
                                         : apply(edit, context.exchange(), head.headers);
      // A header that the operator counts on must not be missing in silence.
      if (!applied) return proxy::LocalReply{400, {}, {}, "header_edit"};
    }
    return std::nullopt;
  }

  // Only the head of a try: X-Forwarded-Host and the access log keep the client's own. The writer
  // takes Host from the authority, not from the list.
  void on_attempt(proxy::FilterContext&, const upstream::Server&,
                  http::RequestHead& head) override {
    if (!host_.empty()) head.authority = host_;
  }

  proxy::Verdict on_response(proxy::FilterContext& context, http::ResponseHead& head) override {
    for (const HeaderEdit& edit : edits_.response) apply(edit, context.exchange(), head.headers);
    return proxy::Next{};
  }

 private:
  bool render_host(const HeaderEdit& edit, proxy::Exchange& exchange) {
    host_ = edit.value.render(exchange, exchange.arena());
    return http::is_valid_host(host_);
  }

  const HeaderEdits& edits_;  // the snapshot's, which the exchange pins
  const uint64_t taken_over_;
  std::string_view host_;  // what the server sees; empty: the client's
};

class Factory : public proxy::FilterFactory {
 public:
  explicit Factory(std::shared_ptr<const HeaderEdits> edits)
      : edits_(std::move(edits)), taken_over_(taken_over(edits_->request)) {}
  std::string_view name() const override { return "headers"; }
  bool is_for_any_answer() const override { return true; }
  bool uses_on_attempt() const override {
    return std::any_of(edits_->request.begin(), edits_->request.end(), is_host);
  }
  bool edits_last() const override { return !edits_->request.empty(); }
  proxy::FilterParts parts() const override { return proxy::parts_of<HeadersFilter>(); }
  proxy::Filter* create(Arena& arena) const override {
    return arena.make<HeadersFilter>(*edits_, taken_over_);
  }

 private:
  const std::shared_ptr<const HeaderEdits> edits_;
  const uint64_t taken_over_;
};

class HeadersSettings : public Settings {
 public:
  explicit HeadersSettings(HeaderEdits edits)
      : edits_(std::make_shared<const HeaderEdits>(std::move(edits))) {}

  const HeaderEdits& edits() const { return *edits_; }
  std::unique_ptr<proxy::FilterFactory> make() const override {
    if (edits_->request.empty() && edits_->response.empty()) return nullptr;
    return std::make_unique<Factory>(edits_);
  }

 private:
  const std::shared_ptr<const HeaderEdits> edits_;  // shared by all routes that add nothing
};

// One direction of one level.
class EditReader {
 public:
  EditReader(const Node& node, Direction direction, Problems& problems,
             std::vector<HeaderEdit>& out)
      : map_(node, problems), direction_(direction), problems_(problems), out_(out) {}

  void run() {
    section("set", HeaderMode::kSet);
    section("add", HeaderMode::kAdd);
    section("set_if_absent", HeaderMode::kSetIfAbsent);
    std::vector<const Node*> names;
    map_.list("remove", names);
    for (const Node* node : names) {
      std::string name;
      if (options::read_string(*node, problems_, name)) {
        accept(*node, name, {name, HeaderMode::kRemove, {}});
      }
    }
    map_.finish();
  }

 private:
  void section(std::string_view key, HeaderMode mode) {
    const Node* node = map_.find(key);
    if (node == nullptr || !MapReader(*node, problems_).is_map()) return;
    for (const auto& entry : node->children) {
      HeaderEdit edit{entry->key, mode, {}};
      if (value(*entry, edit)) accept(*entry, entry->key, std::move(edit));
    }
  }

  // Text, or under `set` the long form {value: ..., mode: ...}.
  bool value(const Node& node, HeaderEdit& edit) {
    if (node.kind != options::Kind::kMap || edit.mode != HeaderMode::kSet) {
      return text(node, edit);
    }
    MapReader entry(node, problems_);
    const Node* inner = entry.require("value");
    const bool good = inner != nullptr && text(*inner, edit);
    entry.choice<HeaderMode>("mode",
                             {{"override", HeaderMode::kSet},
                              {"set_if_absent", HeaderMode::kSetIfAbsent},
                              {"append", HeaderMode::kAdd}},
                             {}, edit.mode);
    entry.finish();
    return good;
  }

  bool text(const Node& node, HeaderEdit& edit) {
    if (!read_header_value(node, problems_, edit.value)) return false;
    if (!is_host(edit) || !edit.value.is_constant() || http::is_valid_host(node.text)) return true;
    problems_.invalid(node, "a host");
    return false;
  }

  void accept(const Node& at, std::string_view name, HeaderEdit edit) {
    const bool sets_host =
        direction_ == Direction::kRequest && iequals(name, "host") && edit.mode == HeaderMode::kSet;
    if (!sets_host && !check_header_name(at, name, problems_)) return;
    if (direction_ == Direction::kRequest && !replaces(edit) && taken_over({edit}) != 0) {
      problems_.error(at, shown_name(at, name) + " is told to servers by weir itself",
                      "set and remove take the place of what it says");
      return;
    }
    if (out_.size() == kEditsMax) {
      problems_.error(at, "more than " + std::to_string(kEditsMax) + " edits in one place");
      return;
    }
    for (const HeaderEdit& other : out_) {
      if (!iequals(other.name, name)) continue;
      problems_.error(at, shown_name(at, name) + " is edited twice here");
      return;
    }
    out_.push_back(std::move(edit));
  }

  MapReader map_;
  const Direction direction_;
  Problems& problems_;
  std::vector<HeaderEdit>& out_;
};

void merge_into(const std::vector<HeaderEdit>& outer, const std::vector<HeaderEdit>& inner,
                std::vector<HeaderEdit>& out) {
  for (const HeaderEdit& edit : outer) {
    bool replaced = false;
    for (const HeaderEdit& nearer : inner) replaced |= iequals(edit.name, nearer.name);
    if (!replaced) out.push_back(edit);
  }
  out.insert(out.end(), inner.begin(), inner.end());
}

}  // namespace

HeaderEdits merge(const HeaderEdits& outer, const HeaderEdits& inner) {
  HeaderEdits merged;
  merge_into(outer.request, inner.request, merged.request);
  merge_into(outer.response, inner.response, merged.response);
  return merged;
}

HeaderEdits read_header_edits(const Node& value, Problems& problems) {
  HeaderEdits edits;
  MapReader map(value, problems);
  if (const Node* node = map.find("request")) {
    EditReader(*node, Direction::kRequest, problems, edits.request).run();
  }
  if (const Node* node = map.find("response")) {
    EditReader(*node, Direction::kResponse, problems, edits.response).run();
  }
  map.finish();
  return edits;
}

SettingsPtr headers_standard() { return nullptr; }

SettingsPtr headers_read(const Node& value, const SettingsPtr& outer, const Reading& reading) {
  HeaderEdits edits = read_header_edits(value, reading.problems);
  if (outer != nullptr) {
    edits = merge(static_cast<const HeadersSettings&>(*outer).edits(), edits);
  }
  return std::make_shared<HeadersSettings>(std::move(edits));
}

}  // namespace weir::filters
