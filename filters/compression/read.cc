#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "filters/compression/compression.h"
#include "filters/compression/filter.h"

namespace weir::filters {

namespace {

using compression::Encoding;
using compression::Options;
using options::MapReader;
using options::Node;
using options::Problems;

constexpr uint32_t kConcurrentMax = 100'000;

void read_encodings(const Node& value, Problems& problems, Options& out) {
  std::vector<const Node*> items;
  if (!options::read_list(value, problems, items)) return;
  if (items.empty()) {
    problems.error(value, "is empty", "compression: off switches it off");
    return;
  }
  constexpr std::array<Encoding, 3> kKnown = {Encoding::kBr, Encoding::kZstd, Encoding::kGzip};
  std::vector<Encoding> chosen;
  for (const Node* item : items) {
    size_t index = 0;
    if (!options::read_choice(*item, problems, {"br", "zstd", "gzip"}, {}, index)) continue;
    if (std::find(chosen.begin(), chosen.end(), kKnown[index]) != chosen.end()) {
      problems.error(*item, item->shown() + " is named twice");
      continue;
    }
    chosen.push_back(kKnown[index]);
  }
  out.encodings_count = chosen.size();
  std::copy(chosen.begin(), chosen.end(), out.encodings.begin());
}

bool to_level(const Node& value, int& out) {
  uint64_t level = 0;
  if (value.quoted || !parse_u64(value.text, level)) return false;
  if (level < compression::kLevelMin || level > compression::kLevelMax) return false;
  out = static_cast<int>(level);
  return true;
}

void read_level(const Node& value, Problems& problems, Options& out) {
  if (value.broken || (value.kind == options::Kind::kScalar && value.text == "auto")) return;
  if (value.kind == options::Kind::kScalar && !to_level(value, out.level)) {
    problems.error(value, "must be auto or 1 to 9, not " + value.shown());
  } else if (value.kind != options::Kind::kScalar) {
    problems.error(value, "must be auto or 1 to 9");
  }
}

void read_types(const Node& value, Problems& problems, Options& out) {
  std::vector<const Node*> items;
  if (!options::read_list(value, problems, items)) return;
  if (items.empty()) {
    problems.error(value, "is empty", "compression: off switches it off");
    return;
  }
  out.types = {};
  for (const Node* item : items) {
    std::string pattern;
    if (options::read_string(*item, problems, pattern) && !out.types.add(pattern)) {
      problems.invalid(*item, "a media type", "as in text/html, text/* or application/*+json");
    }
  }
}

class CompressionSettings : public Settings {
 public:
  explicit CompressionSettings(Options options)
      : options_(std::make_shared<const Options>(std::move(options))) {}
  std::unique_ptr<proxy::FilterFactory> make() const override {
    return compression::make_factory(options_);
  }

 private:
  const std::shared_ptr<const Options> options_;
};

}  // namespace

SettingsPtr compression_standard() { return nullptr; }

// The nearest level wins whole: nothing is taken over from the outer one.
SettingsPtr compression_read(const Node& value, const SettingsPtr&, const Reading& reading) {
  Options options;
  MapReader map(value, reading.problems);
  if (const Node* encodings = map.find("encodings")) {
    read_encodings(*encodings, reading.problems, options);
  }
  if (const Node* level = map.find("level")) {
    read_level(*level, reading.problems, options);
  } else {
    map.note_default("level", "auto");
  }
  map.size_bytes("min_size", options::Range<uint64_t>{0, uint64_t{1} << 30},
                 options.min_size_bytes);
  if (const Node* types = map.find("types")) read_types(*types, reading.problems, options);
  map.u32("max_concurrent", {1, kConcurrentMax}, options.max_concurrent);
  map.boolean("skip_set_cookie", options.skip_set_cookie);
  map.boolean("padding", options.padding);
  map.finish();
  return std::make_shared<CompressionSettings>(std::move(options));
}

}  // namespace weir::filters
