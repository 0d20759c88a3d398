#include "proxy/rewrite.h"

#include <array>

#include "base/limits.h"
#include "http/rules.h"

namespace weir::proxy {

namespace {

// \1 are groups of the rewrite's own pattern; all else is the request's.
class WithCaptures final : public VariableSource {
 public:
  WithCaptures(VariableSource& request, std::string_view* captures)
      : request_(request), captures_(captures) {}
  std::string_view variable(Variable variable, Arena& arena) override {
    return request_.variable(variable, arena);
  }
  std::string_view capture(size_t index) override { return captures_[index]; }

 private:
  VariableSource& request_;
  const std::string_view* captures_;
};

// "/api" of "/api" and of "/api/x", not of "/apix".
std::string_view without_prefix(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return path;
  const std::string_view rest = path.substr(prefix.size());
  return rest.empty() || rest.front() == '/' ? rest : path;
}

}  // namespace

Rewrite::Target Rewrite::apply(std::string_view path, std::string_view query,
                               VariableSource& source, Arena& arena) const {
  std::string_view out = without_prefix(path, strip_prefix);
  std::array<std::string_view, limits::kCapturesMax + 1> captures;
  if (regex != nullptr && regex->capture(out, captures)) {
    WithCaptures request(source, captures.data());
    const std::string_view text = replace.render(request, arena);
    const auto begin = static_cast<size_t>(captures[0].data() - out.data());
    const size_t end = begin + captures[0].size();
    out = arena.concat({out.substr(0, begin), text, out.substr(end)});
    if (const size_t mark = out.find('?'); mark != std::string_view::npos) {
      query = out.substr(mark + 1);
      out = out.substr(0, mark);
    }
  }
  out = http::normalise_path(out.starts_with('/') ? out : arena.concat({"/", out}), false, arena);
  // Two slashes at the start would name a host to whoever takes the path for a reference.
  while (out.starts_with("//")) out.remove_prefix(1);
  const std::string_view target = query.empty() ? out : arena.concat({out, "?", query});
  if (out.empty() || !http::is_request_target(target)) return {};
  return {target, target.substr(0, out.size()),
          query.empty() ? std::string_view() : target.substr(out.size() + 1)};
}

}  // namespace weir::proxy
