#include "config/substitute.h"

#include <string>
#include <string_view>
#include <utility>

namespace weir::config {

namespace {

using options::Kind;
using options::Node;
using options::Problems;
using options::Substitution;

constexpr size_t kSecretMaxBytes = size_t{64} * 1024;

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  constexpr std::string_view kDigits = "0123456789";
  if (text.empty() || kLetters.find(text.front()) == std::string_view::npos) return false;
  for (const char c : text) {
    if (kLetters.find(c) == std::string_view::npos && kDigits.find(c) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

std::string_view trim_space(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// One scalar's pass from left to right.
class Pass {
 public:
  Pass(Node& node, const Environment& environment, Problems& problems)
      : node_(node), environment_(environment), problems_(problems) {}

  void run() {
    std::string_view rest = node_.text;
    while (!rest.empty()) {
      const size_t dollar = rest.find('$');
      literal(rest.substr(0, dollar));
      if (dollar == std::string_view::npos) break;
      rest.remove_prefix(dollar);
      rest.remove_prefix(step(rest));
    }
    if (!found_) return;
    node_.text = std::move(text_);
    node_.substitution = std::make_unique<Substitution>(std::move(out_));
  }

 private:
  // `rest` starts with a dollar; returns how much of it is done.
  size_t step(std::string_view rest) {
    if (rest.starts_with("$${")) {
      text_ += "${";
      out_.template_text += "$${";  // a template reads "$$" as a dollar
      found_ = true;
      return 3;
    }
    if (rest.starts_with("$$")) {
      literal("$$");
      return 2;
    }
    if (!rest.starts_with("${")) {
      literal("$");
      return 1;
    }
    found_ = true;
    const size_t close = rest.find('}');
    if (close == std::string_view::npos) {
      fail("\"${\" without \"}\"", "a literal \"${\" is written \"$${\"");
      return rest.size();
    }
    reference(rest.substr(2, close - 2));
    return close + 1;
  }

  void reference(std::string_view inside) {
    constexpr std::string_view kFile = "file:";
    if (inside.starts_with(kFile)) return file(std::string(inside.substr(kFile.size())));
    const size_t colon = inside.find(":-");
    const std::string name(inside.substr(0, colon));
    const std::string written = "${" + name.substr(0, 60) + "}";
    if (!is_name(name)) {
      fail("\"${...}\" holds no name of a variable",
           "${NAME}, ${NAME:-default} or ${file:/path}; a literal \"${\" is \"$${\"");
      return;
    }
    const std::optional<std::string> value = environment_.variable(name);
    const bool has_default = colon != std::string_view::npos;
    if (has_default && (!value || value->empty())) return fallback(inside.substr(colon + 2));
    if (!value) {
      fail(written + " is not set", "${" + name + ":-default} gives a default");
      return;
    }
    data(*value, written);
  }

  // The text of a default stands in the file: no secret, and a template may use $names in it.
  void fallback(std::string_view text) {
    if (text.find("${") != std::string_view::npos) {
      fail("a default cannot hold another \"${\"");
      return;
    }
    literal(text);
  }

  void file(const std::string& path) {
    const std::string written = "${file:" + path.substr(0, 200) + "}";
    if (!path.starts_with('/')) {
      fail(written + ": the path must be absolute");
      return;
    }
    Result<std::string> content = environment_.file(path, kSecretMaxBytes);
    if (!content.ok()) {
      fail(written + " cannot be read: " + content.error());
      return;
    }
    data(trim_space(content.value()), written);
  }

  void fail(std::string what, std::string hint = {}) {
    node_.broken = true;
    problems_.error(node_, std::move(what), std::move(hint));
  }

  void literal(std::string_view text) {
    text_ += text;
    out_.template_text += text;
  }

  void data(std::string_view value, const std::string& written) {
    if (value.find('\0') != std::string_view::npos) {
      fail(written + " holds a NUL");
      return;
    }
    text_ += value;
    for (const char c : value) {
      if (c == '$' || c == '\\') out_.template_text += c;
      out_.template_text += c;
    }
    out_.origin += (out_.origin.empty() ? "" : ", ") + written;
  }

  Node& node_;
  const Environment& environment_;
  Problems& problems_;
  bool found_ = false;
  std::string text_;
  Substitution out_;
};

}  // namespace

void substitute(Node& root, const Environment& environment, Problems& problems) {
  if (root.parent != nullptr && root.key.find("${") != std::string::npos) {
    problems.error(root, "\"${...}\" is not replaced in keys");
  }
  if (root.kind == Kind::kScalar) {
    if (root.text.find('$') == std::string::npos) return;
    Pass(root, environment, problems).run();
    // "${PORT}" has to be quoted inside {} and []: that alone does not make it a string.
    if (root.substitution != nullptr) root.quoted = false;
    return;
  }
  for (const auto& child : root.children) substitute(*child, environment, problems);
}

}  // namespace weir::config
