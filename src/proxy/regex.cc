#include "proxy/regex.h"

#include <re2/re2.h>
#include <re2/set.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "base/limits.h"

namespace weir::proxy {

namespace {

re2::StringPiece piece(std::string_view text) { return {text.data(), text.size()}; }

// Paths are ASCII once they are percent-encoded: bytes need no UTF-8 decoding.
re2::RE2::Options options(size_t memory_bytes) {
  re2::RE2::Options made(re2::RE2::Latin1);
  made.set_log_errors(false);
  made.set_max_mem(static_cast<int64_t>(memory_bytes));
  return made;
}

using Failed = Result<std::shared_ptr<const Regex>>;

}  // namespace

Regex::Regex(std::unique_ptr<re2::RE2> compiled) : compiled_(std::move(compiled)) {}
Regex::~Regex() = default;

Result<std::shared_ptr<const Regex>> Regex::compile(std::string_view pattern) {
  if (pattern.size() > limits::kRegexBytes) {
    return Failed::failure("it is longer than " + std::to_string(limits::kRegexBytes) + " bytes");
  }
  auto compiled = std::make_unique<re2::RE2>(piece(pattern), options(limits::kRegexMemoryBytes));
  if (!compiled->ok()) {
    if (compiled->error_code() == re2::RE2::ErrorPatternTooLarge) {
      return Failed::failure("it is too large when its repetitions are written out");
    }
    return Failed::failure(compiled->error());
  }
  if (compiled->ProgramSize() > static_cast<int>(limits::kRegexSteps)) {
    return Failed::failure("it is too large when its repetitions are written out");
  }
  return std::shared_ptr<const Regex>(new Regex(std::move(compiled)));
}

const std::string& Regex::pattern() const { return compiled_->pattern(); }

size_t Regex::groups() const { return static_cast<size_t>(compiled_->NumberOfCapturingGroups()); }

bool Regex::matches(std::string_view text) const {
  return compiled_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

bool Regex::capture(std::string_view text, std::span<std::string_view> out) const {
  std::array<re2::StringPiece, limits::kCapturesMax + 1> found;
  const size_t asked = std::min({out.size(), found.size(), groups() + 1});
  WEIR_CHECK(asked > 0);
  if (!compiled_->Match(piece(text), 0, text.size(), re2::RE2::UNANCHORED, found.data(),
                        static_cast<int>(asked))) {
    return false;
  }
  std::fill(out.begin(), out.end(), std::string_view());
  for (size_t i = 0; i < asked; ++i) {
    if (found[i].data() != nullptr) out[i] = {found[i].data(), found[i].size()};
  }
  return true;
}

struct RegexSet::Compiled {
  explicit Compiled(size_t memory_bytes) : set(options(memory_bytes), re2::RE2::UNANCHORED) {}
  re2::RE2::Set set;
};

RegexSet::RegexSet(std::span<const Regex* const> members) {
  if (members.empty()) return;
  compiled_ = std::make_unique<Compiled>(limits::kRegexMemoryBytes +
                                         members.size() * limits::kRegexSetMemberBytes);
  bool whole = true;
  for (const Regex* member : members) {
    whole = whole && compiled_->set.Add(member->compiled_->pattern(), nullptr) >= 0;
  }
  if (!whole || !compiled_->set.Compile()) compiled_ = nullptr;
}

RegexSet::~RegexSet() = default;
RegexSet::RegexSet(RegexSet&&) noexcept = default;

bool RegexSet::may_match(std::string_view text) const {
  if (compiled_ == nullptr) return true;
  re2::RE2::Set::ErrorInfo error = {re2::RE2::Set::kNoError};
  // Without a list to fill it stops at the first match and allocates nothing.
  return compiled_->set.Match(piece(text), nullptr, &error) ||
         error.kind != re2::RE2::Set::kNoError;
}

}  // namespace weir::proxy
