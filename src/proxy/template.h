// Text with $variables and \1 captures, compiled when the config is read and filled in per request:
// respond bodies, redirects, header values, rewritten paths. Immutable after parse(); any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "base/error.h"

namespace weir::proxy {

enum class Variable : uint8_t {
  kScheme,
  kHost,
  kUri,
  kPath,
  kQuery,
  kClientIp,
  kRequestId,
  kUpstream,
  kStatus,
  kMethod,
  kCspNonce,
};

// One request, as templates see it. What it returns lives as long as the request.
class VariableSource {
 public:
  virtual std::string_view variable(Variable variable, Arena& arena) = 0;
  // Group `index` of the route's pattern; 0 is all that it matched.
  virtual std::string_view capture(size_t index) = 0;

 protected:
  ~VariableSource() = default;
};

class Template {
 public:
  Template() = default;
  // "$$" is a dollar and "\\" a backslash; an unknown "$name" is an error that lists the known
  // ones. A backslash before anything but a digit or a backslash stands for itself.
  static Result<Template> parse(std::string_view text);

  bool empty() const { return parts_.empty(); }
  bool begins_with(std::string_view text) const {
    return !parts_.empty() && parts_.front().text.starts_with(text);
  }
  bool is_constant() const { return constant_; }
  // REQUIRES: it is.
  std::string_view constant() const {
    return parts_.empty() ? std::string_view() : std::string_view(parts_.front().text);
  }
  bool names(Variable variable) const;
  // The highest \N that it names; -1: none.
  int highest_capture() const { return highest_capture_; }
  // Into the arena (or a view of the template itself where it is constant).
  std::string_view render(VariableSource& source, Arena& arena) const {
    return constant_ ? constant() : render_parts(source, arena);
  }

 private:
  enum class Kind : uint8_t { kLiteral, kVariable, kCapture };
  struct Part {
    Kind kind = Kind::kLiteral;
    Variable variable = Variable::kScheme;
    uint8_t capture = 0;
    std::string text;  // kLiteral
  };
  std::string_view render_parts(VariableSource& source, Arena& arena) const;

  std::vector<Part> parts_;
  bool constant_ = true;
  int highest_capture_ = -1;
};

}  // namespace weir::proxy
