// Scalars to values. A unit is never guessed, a spelling never forgiven: what a reader of the file
// could misread is an error that says what to write.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/options.h"
#include "base/strings.h"

namespace weir::options {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

constexpr std::array<Unit, 8> kDurationUnits = {{{"ms", 1},
                                                 {"s", 1'000},
                                                 {"m", 60'000},
                                                 {"h", 3'600'000},
                                                 {"d", 86'400'000},
                                                 {"w", 604'800'000},
                                                 {"y", 31'536'000'000},
                                                 {"", 0}}};
constexpr std::array<Unit, 10> kSizeUnits = {{{"B", 1},
                                              {"KB", 1'000},
                                              {"KiB", uint64_t{1} << 10},
                                              {"MB", 1'000'000},
                                              {"MiB", uint64_t{1} << 20},
                                              {"GB", 1'000'000'000},
                                              {"GiB", uint64_t{1} << 30},
                                              {"TB", 1'000'000'000'000},
                                              {"TiB", uint64_t{1} << 40},
                                              {"", 0}}};

// One family of units with the words for its errors. The table ends with a factor of 0.
struct Quantity {
  const Unit* units;
  std::string_view noun;
  std::string_view names;
  std::string_view example_unit;
};
constexpr Quantity kDuration = {kDurationUnits.data(), "a duration", "ms, s, m, h, d, w or y", "s"};
constexpr Quantity kSize = {kSizeUnits.data(), "a size", "B, KB, KiB, MB, MiB, GB, GiB, TB or TiB",
                            "KiB"};

// The shortest exact text of `value`: the largest unit that divides it.
std::string text_of(const Quantity& quantity, uint64_t value) {
  const Unit* best = quantity.units;
  for (const Unit* unit = quantity.units; unit->factor != 0; ++unit) {
    if (value != 0 && value % unit->factor == 0 && unit->factor > best->factor) best = unit;
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

enum class Parsed : uint8_t { kOk, kNoNumber, kNoUnit, kBadUnit, kOverflow };

Parsed parse(const Quantity& quantity, std::string_view text, uint64_t& out) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) return Parsed::kNoNumber;
  if (digits == text.size()) return Parsed::kNoUnit;
  const std::string_view name = text.substr(digits);
  for (const Unit* unit = quantity.units; unit->factor != 0; ++unit) {
    if (unit->name != name) continue;
    uint64_t number = 0;
    if (!parse_u64(text.substr(0, digits), number) ||
        __builtin_mul_overflow(number, unit->factor, &out)) {
      return Parsed::kOverflow;
    }
    return Parsed::kOk;
  }
  return Parsed::kBadUnit;
}

bool require_scalar(const Node& node, Problems& problems, std::string_view noun) {
  if (node.broken) return false;
  if (node.kind == Kind::kScalar) return true;
  problems.error(node, "must be " + std::string(noun) + ", not " + node.shown());
  return false;
}

// Numbers and booleans: a quoted one is a string, and says so.
bool require_plain(const Node& node, Problems& problems, std::string_view noun) {
  if (!require_scalar(node, problems, noun)) return false;
  if (!node.quoted) return true;
  problems.error(node, "must be " + std::string(noun) + ", not a string; remove the quotes");
  return false;
}

void out_of_range(const Node& node, Problems& problems, const std::string& min,
                  const std::string& max) {
  problems.error(node, node.shown() + " is out of range", "allowed: " + min + " to " + max);
}

bool read_quantity(const Quantity& quantity, const Node& node, Problems& problems,
                   Range<uint64_t> range, uint64_t& out) {
  if (!require_scalar(node, problems, quantity.noun)) return false;
  uint64_t value = 0;
  switch (parse(quantity, node.text, value)) {
    case Parsed::kOk: break;
    case Parsed::kNoUnit:
      problems.error(node, node.shown() + " needs a unit",
                     "one of " + std::string(quantity.names) +
                         (node.secret() ? std::string()
                                        : ", as in " + node.text.substr(0, 20) +
                                              std::string(quantity.example_unit)));
      return false;
    case Parsed::kOverflow:
      out_of_range(node, problems, text_of(quantity, range.min), text_of(quantity, range.max));
      return false;
    case Parsed::kNoNumber:
    case Parsed::kBadUnit:
      problems.error(node, node.shown() + " is not " + std::string(quantity.noun),
                     "a whole number and one of " + std::string(quantity.names));
      return false;
  }
  if (value < range.min || value > range.max) {
    out_of_range(node, problems, text_of(quantity, range.min), text_of(quantity, range.max));
    return false;
  }
  out = value;
  return true;
}

bool parse_double(std::string_view text, double& out) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), out, std::chars_format::fixed);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
}

// The shortest text that reads back as `value`.
std::string text_of(double value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return error == std::errc() ? std::string(buffer, end) : std::string("?");
}

template <typename T>
bool is_within(Range<T> range, T value) {
  return value >= range.min && value <= range.max;
}

}  // namespace

bool read_string(const Node& node, Problems& problems, std::string& out) {
  if (!require_scalar(node, problems, "a string")) return false;
  out = node.text;
  return true;
}

bool read_bool(const Node& node, Problems& problems, bool& out) {
  if (!require_plain(node, problems, "true or false")) return false;
  if (node.text != "true" && node.text != "false") {
    problems.error(node, "must be true or false, not " + node.shown());
    return false;
  }
  out = node.text == "true";
  return true;
}

bool read_u64(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out) {
  if (!require_plain(node, problems, "a whole number")) return false;
  const bool digits =
      !node.text.empty() && node.text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits) {
    problems.invalid(node, "a whole number");
    return false;
  }
  uint64_t value = 0;
  if (!parse_u64(node.text, value) || value < range.min || value > range.max) {
    out_of_range(node, problems, std::to_string(range.min), std::to_string(range.max));
    return false;
  }
  out = value;
  return true;
}

bool read_number(const Node& node, Problems& problems, Range<double> range, double& out) {
  if (!require_plain(node, problems, "a number")) return false;
  double value = 0;
  if (!parse_double(node.text, value)) {
    problems.invalid(node, "a number");
    return false;
  }
  if (value < range.min || value > range.max) {
    out_of_range(node, problems, text_of(range.min), text_of(range.max));
    return false;
  }
  out = value;
  return true;
}

bool read_duration_ms(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out) {
  return read_quantity(kDuration, node, problems, range, out);
}

bool read_size_bytes(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out) {
  return read_quantity(kSize, node, problems, range, out);
}

bool read_byte_rate(const Node& node, Problems& problems, Range<uint64_t> range, uint64_t& out) {
  constexpr std::string_view kPerSecond = "/s";
  constexpr std::string_view kNoun = "a rate of bytes";
  if (!require_scalar(node, problems, kNoun)) return false;
  std::string_view text = node.text;
  uint64_t value = 0;
  Parsed parsed = Parsed::kNoUnit;
  if (text.ends_with(kPerSecond)) {
    text.remove_suffix(kPerSecond.size());
    parsed = parse(kSize, text, value);
  }
  if (parsed != Parsed::kOk && parsed != Parsed::kOverflow) {
    problems.error(node, node.shown() + " is not " + std::string(kNoun),
                   "a size per second, as in 240B/s or 1KiB/s");
    return false;
  }
  if (parsed == Parsed::kOverflow || value < range.min || value > range.max) {
    out_of_range(node, problems, text_of(kSize, range.min) + "/s",
                 text_of(kSize, range.max) + "/s");
    return false;
  }
  out = value;
  return true;
}

bool read_percent(const Node& node, Problems& problems, double& out, double max) {
  if (!require_scalar(node, problems, "a percentage")) return false;
  const std::string_view text = node.text;
  double value = 0;
  if (!text.ends_with('%') || !parse_double(text.substr(0, text.size() - 1), value)) {
    problems.error(node, node.shown() + " is not a percentage", "a number and %, as in 50%");
    return false;
  }
  if (value < 0 || value > max * 100) {
    out_of_range(node, problems, "0%", text_of(max * 100) + "%");
    return false;
  }
  out = value / 100;
  return true;
}

bool read_rate(const Node& node, Problems& problems, Rate& out) {
  if (!require_scalar(node, problems, "a rate")) return false;
  const std::string_view text = node.text;
  const size_t slash = std::min(text.find('/'), text.size());
  // "10/s" is short for "10/1s".
  const std::string_view after = text.substr(std::min(slash + 1, text.size()));
  const bool is_unit = !after.empty() && (after[0] < '0' || after[0] > '9');
  const std::string per = std::string(is_unit ? "1" : "").append(after);
  Rate rate;
  if (!parse_u64(text.substr(0, slash), rate.count) || rate.count == 0 ||
      parse(kDuration, per, rate.per_ms) != Parsed::kOk || rate.per_ms == 0) {
    problems.error(node, node.shown() + " is not a rate",
                   "a number per duration, as in 10/s or 100/15m");
    return false;
  }
  out = rate;
  return true;
}

bool read_list(const Node& node, Problems& problems, std::vector<const Node*>& out) {
  if (node.broken) return false;
  if (node.kind != Kind::kList && node.kind != Kind::kNull) {
    problems.error(node, "must be a list, not " + node.shown());
    return false;
  }
  out.clear();
  for (const auto& child : node.children) out.push_back(child.get());
  return true;
}

bool read_choice(const Node& node, Problems& problems, const std::vector<std::string_view>& words,
                 std::initializer_list<std::string_view> later, size_t& out) {
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    list += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + std::string(words[i]);
  }
  if (!require_scalar(node, problems, list)) return false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (node.text != words[i]) continue;
    out = i;
    return true;
  }
  for (const std::string_view word : later) {
    if (node.text != word) continue;
    problems.error(node, node.shown() + " is known but not in this build yet");
    return false;
  }
  problems.error(node, "must be " + list + ", not " + node.shown(),
                 node.secret() ? std::string() : did_you_mean(node.text, words));
  return false;
}

bool is_off(const Node& node) { return node.kind == Kind::kScalar && node.text == "off"; }

bool MapReader::string(std::string_view key, std::string& out) {
  const Node* value = find(key);
  if (value == nullptr && !out.empty()) note_default(key, out);
  return value != nullptr && read_string(*value, *problems_, out);
}

bool MapReader::boolean(std::string_view key, bool& out) {
  const Node* value = find(key);
  if (value == nullptr) note_default(key, out ? "true" : "false");
  return value != nullptr && read_bool(*value, *problems_, out);
}

bool MapReader::u64(std::string_view key, Range<uint64_t> range, uint64_t& out) {
  const Node* value = find(key);
  if (value == nullptr && is_within(range, out)) note_default(key, std::to_string(out));
  return value != nullptr && read_u64(*value, *problems_, range, out);
}

bool MapReader::u32(std::string_view key, Range<uint32_t> range, uint32_t& out) {
  uint64_t wide = out;
  if (!u64(key, {range.min, range.max}, wide)) return false;
  out = static_cast<uint32_t>(wide);
  return true;
}

bool MapReader::number(std::string_view key, Range<double> range, double& out) {
  const Node* value = find(key);
  if (value == nullptr && is_within(range, out)) note_default(key, text_of(out));
  return value != nullptr && read_number(*value, *problems_, range, out);
}

bool MapReader::duration_ms(std::string_view key, Range<uint64_t> range, uint64_t& out) {
  const Node* value = find(key);
  if (value == nullptr && is_within(range, out)) note_default(key, text_of(kDuration, out));
  return value != nullptr && read_duration_ms(*value, *problems_, range, out);
}

bool MapReader::size_bytes(std::string_view key, Range<uint64_t> range, uint64_t& out) {
  const Node* value = find(key);
  if (value == nullptr && is_within(range, out)) note_default(key, text_of(kSize, out));
  return value != nullptr && read_size_bytes(*value, *problems_, range, out);
}

bool MapReader::size_bytes(std::string_view key, Range<uint32_t> range, uint32_t& out) {
  uint64_t wide = out;
  if (!size_bytes(key, Range<uint64_t>{range.min, range.max}, wide)) return false;
  out = static_cast<uint32_t>(wide);
  return true;
}

bool MapReader::byte_rate(std::string_view key, Range<uint64_t> range, uint64_t& out) {
  const Node* value = find(key);
  if (value == nullptr && is_within(range, out)) note_default(key, text_of(kSize, out) + "/s");
  return value != nullptr && read_byte_rate(*value, *problems_, range, out);
}

bool MapReader::list(std::string_view key, std::vector<const Node*>& out) {
  const Node* value = find(key);
  return value != nullptr && read_list(*value, *problems_, out);
}

}  // namespace weir::options
