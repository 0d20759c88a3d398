#include "proxy/outline.h"

#include <string_view>
#include <unordered_map>

namespace weir::proxy {

namespace {

// All entries of one part and name, in order: the n-th before is the n-th after.
using Digests = std::vector<uint64_t>;
using ByName = std::array<std::unordered_map<std::string_view, Digests>, kParts>;

ByName by_name(const Outline& outline) {
  ByName names;
  for (const OutlineEntry& entry : outline) {
    names[static_cast<size_t>(entry.part)][entry.name].push_back(entry.digest);
  }
  return names;
}

void note(PartChanges& part, std::vector<std::string> PartChanges::*list, std::string_view name,
          size_t ordinal) {
  std::vector<std::string>& names = part.*list;
  if (names.size() == PartChanges::kNamesMax) {
    ++part.left_out;
    return;
  }
  names.emplace_back(name);
  if (ordinal > 0) names.back() += " #" + std::to_string(ordinal + 1);
}

// Visits each entry with its number among those of its name.
template <typename Visit>
void for_each(const Outline& outline, Visit visit) {
  std::array<std::unordered_map<std::string_view, size_t>, kParts> seen;
  for (const OutlineEntry& entry : outline) {
    visit(entry, seen[static_cast<size_t>(entry.part)][entry.name]++);
  }
}

const uint64_t* find(const ByName& names, const OutlineEntry& entry, size_t ordinal) {
  const auto& part = names[static_cast<size_t>(entry.part)];
  const auto found = part.find(entry.name);
  if (found == part.end() || ordinal >= found->second.size()) return nullptr;
  return &found->second[ordinal];
}

}  // namespace

const char* part_name(Part part) {
  switch (part) {
    case Part::kSettings: return "settings";
    case Part::kListeners: return "listeners";
    case Part::kUpstreams: return "upstreams";
    case Part::kServers: return "servers";
    case Part::kSites: return "sites";
    case Part::kRoutes: break;
  }
  return "routes";
}

Changes changes_between(const Outline& before, const Outline& after) {
  const ByName old_names = by_name(before);
  const ByName new_names = by_name(after);
  Changes changes;
  for_each(after, [&](const OutlineEntry& entry, size_t ordinal) {
    PartChanges& part = changes[static_cast<size_t>(entry.part)];
    const uint64_t* const old = find(old_names, entry, ordinal);
    if (old == nullptr) {
      note(part, &PartChanges::added, entry.name, ordinal);
    } else if (*old != entry.digest) {
      note(part, &PartChanges::changed, entry.name, ordinal);
    }
  });
  for_each(before, [&](const OutlineEntry& entry, size_t ordinal) {
    if (find(new_names, entry, ordinal) != nullptr) return;
    note(changes[static_cast<size_t>(entry.part)], &PartChanges::removed, entry.name, ordinal);
  });
  return changes;
}

}  // namespace weir::proxy
