#include "net/redis_error.h"

#include <algorithm>
#include <utility>

namespace weir::net {

namespace {

struct Words {
  const char* word;
  const char* text;
};

// By RedisReason.
constexpr Words kWords[kRedisReasons] = {
    {"none", ""},
    {"name", "its name does not resolve"},
    {"connect", "no connection"},
    {"tls", "no TLS"},
    {"timeout", "no answer in time"},
    {"closed", "the connection was closed"},
    {"protocol", "an answer that is not Redis's"},
    {"auth", "access denied"},
    {"readonly", "it is a replica"},
    {"loading", "it loads its data"},
    {"busy", "it is busy with a script"},
    {"memory", "its memory is full"},
    {"disk", "it takes no writes for now"},
    {"wrong_type", "a value of another type is under the key"},
    {"overload", "too many calls wait"},
    {"other", "an error"},
};

constexpr std::pair<std::string_view, RedisReason> kCodes[] = {
    {"NOAUTH", RedisReason::kAuth},         {"WRONGPASS", RedisReason::kAuth},
    {"NOPERM", RedisReason::kAuth},         {"READONLY", RedisReason::kReadOnly},
    {"MASTERDOWN", RedisReason::kReadOnly}, {"LOADING", RedisReason::kLoading},
    {"BUSY", RedisReason::kBusy},           {"OOM", RedisReason::kMemory},
    {"MISCONF", RedisReason::kDisk},        {"NOREPLICAS", RedisReason::kDisk},
    {"WRONGTYPE", RedisReason::kWrongType},
};

RedisReason reason_of_code(std::string_view word) {
  for (const auto& [code, reason] : kCodes) {
    if (word == code) return reason;
  }
  return RedisReason::kOther;
}

std::string_view first_word(std::string_view text) {
  return text.substr(0, std::min(text.find(' '), text.size()));
}

}  // namespace

const char* redis_reason_word(RedisReason reason) {
  return kWords[static_cast<size_t>(reason)].word;
}

const char* redis_reason_text(RedisReason reason) {
  return kWords[static_cast<size_t>(reason)].text;
}

RedisReason classify_redis_error(std::string_view text) {
  const std::string_view code = first_word(text);
  if (code != "ERR") return reason_of_code(code);
  if (text.find("invalid password") != std::string_view::npos ||
      text.find("without any password configured") != std::string_view::npos) {
    return RedisReason::kAuth;  // as Redis 5 has it; as Redis 7 without a password has it
  }
  // "ERR Error running script (call to f_...): @user_script:1: -READONLY You can't write ..."
  if (!text.starts_with("ERR Error running script")) return RedisReason::kOther;
  for (size_t at = text.find(": "); at != std::string_view::npos; at = text.find(": ", at + 1)) {
    std::string_view rest = text.substr(at + 2);
    if (rest.starts_with('-')) rest.remove_prefix(1);
    const RedisReason reason = reason_of_code(first_word(rest));
    if (reason != RedisReason::kOther) return reason;
  }
  return RedisReason::kOther;
}

bool is_missing_script(std::string_view text) { return first_word(text) == "NOSCRIPT"; }

}  // namespace weir::net
