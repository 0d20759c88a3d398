// A file of users and hashed passwords, as htpasswd writes it: "user:hash" in each line; what a
// further colon ends is a remark. Empty lines and those that begin with # are skipped.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strings.h"

namespace weir::filters::auth {

// Immutable; any thread.
class Users {
 public:
  struct Fault {
    uint32_t line;  // from 1; 0: the whole file
    std::string what;
    std::string hint;
  };
  // Null where something is wrong.
  static std::shared_ptr<const Users> parse(std::string_view text, std::vector<Fault>& faults);

  struct Entry {
    const std::string& hash;
    bool known;
  };
  // The hash to hold a password against. Of an unknown user it is somebody else's, the same each
  // time: checking it takes what a known one takes, and then says no.
  Entry find(std::string_view user) const;
  size_t size() const { return hashes_.size(); }

 private:
  std::optional<Fault> add_line(uint32_t number, std::string_view line);

  std::unordered_map<std::string, size_t, TextHash, std::equal_to<>> by_name_;
  std::vector<std::string> hashes_;
};

}  // namespace weir::filters::auth
