#include "filters/auth/users_file.h"

#include <algorithm>
#include <utility>

#include "base/siphash.h"
#include "filters/auth/password.h"
#include "http/chars.h"

namespace weir::filters::auth {

namespace {

constexpr size_t kUserBytes = 255;
constexpr size_t kFaultsMax = 10;  // of one file: it is likely to be all the same

bool is_user_name(std::string_view name) {
  return !name.empty() && name.size() <= kUserBytes && !http::has_control(name) &&
         trim_ows(name) == name;
}

const SipKey& stand_in_key() {
  static const SipKey key = SipKey::random();
  return key;
}

}  // namespace

std::shared_ptr<const Users> Users::parse(std::string_view text, std::vector<Fault>& faults) {
  auto users = std::make_shared<Users>();
  uint32_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (trim_ows(line).empty() || line.starts_with('#')) continue;
    std::optional<Fault> fault = users->add_line(number, line);
    if (fault && faults.size() < kFaultsMax) faults.push_back(std::move(*fault));
  }
  if (faults.empty() && users->size() == 0) {
    faults.push_back({0, "holds no users", "a line is user:hash; htpasswd -B makes one"});
  }
  return faults.empty() ? users : nullptr;
}

std::optional<Users::Fault> Users::add_line(uint32_t number, std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    return Fault{number, "holds no colon", "a line is user:hash; htpasswd -B makes one"};
  }
  const std::string_view name = line.substr(0, colon);
  if (!is_user_name(name)) {
    return Fault{number, "holds no user name",
                 "1 to 255 bytes without control characters, and without blanks at the ends"};
  }
  line.remove_prefix(colon + 1);
  const std::string_view hash = trim_ows(line.substr(0, line.find(':')));
  if (std::optional<HashFault> fault = fault_of_hash(hash)) {
    return Fault{number, std::move(fault->what), std::move(fault->hint)};
  }
  if (!by_name_.try_emplace(std::string(name), hashes_.size()).second) {
    return Fault{number, "names a user a second time", {}};
  }
  hashes_.emplace_back(hash);
  return std::nullopt;
}

Users::Entry Users::find(std::string_view user) const {
  const auto found = by_name_.find(user);
  if (found != by_name_.end()) return {hashes_[found->second], true};
  return {hashes_[stand_in_key().hash(user).low % hashes_.size()], false};
}

}  // namespace weir::filters::auth
