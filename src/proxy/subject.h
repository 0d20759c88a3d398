// Who a client has proved to be: what an auth filter tells those behind it, so that they can count,
// keep or choose by user.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::proxy {

// What a verified token says of its bearer, as text. Immutable; any thread.
class Claims {
 public:
  struct Entry {
    std::string name;
    std::string text;
    bool list = false;  // items between commas
  };

  // Of two of one name the first counts.
  explicit Claims(std::vector<Entry> entries) : entries_(std::move(entries)) {
    std::stable_sort(entries_.begin(), entries_.end(),
                     [](const Entry& a, const Entry& b) { return is_before(a.name, b.name); });
  }
  // Null: the token says nothing of it.
  const Entry* find(std::string_view name) const {
    const auto at = std::lower_bound(
        entries_.begin(), entries_.end(), name,
        [](const Entry& entry, std::string_view key) { return is_before(entry.name, key); });
    return at == entries_.end() || at->name != name ? nullptr : &*at;
  }

 private:
  // Most names differ in size, which costs less to compare.
  static bool is_before(std::string_view a, std::string_view b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }

  std::vector<Entry> entries_;  // by name, is_before()
};

// In the exchange's arena; what it points to lives as long.
struct Subject {
  std::string_view name;           // without control characters; empty: a token without a subject
  const Claims* claims = nullptr;  // null: a user with a password
};

}  // namespace weir::proxy
