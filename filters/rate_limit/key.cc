#include "filters/rate_limit/key.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "http/forwarded.h"
#include "http/message.h"
#include "http/params.h"
#include "proxy/subject.h"

namespace weir::filters::rate_limit {

namespace {

using Source = KeyPart::Source;

constexpr std::pair<std::string_view, Source> kWhole[] = {{"client_ip", Source::kClientIp},
                                                          {"host", Source::kHost},
                                                          {"path", Source::kPath},
                                                          {"route", Source::kRoute}};
constexpr std::pair<std::string_view, Source> kNamed[] = {{"header:", Source::kHeader},
                                                          {"cookie:", Source::kCookie},
                                                          {"query:", Source::kQuery},
                                                          {"jwt:", Source::kJwt}};

http::Address masked(const http::Address& client, uint32_t prefix) {
  http::Address out = client;
  if (client.v4) return out;
  for (uint32_t i = 0; i < sizeof(out.bytes); ++i) {
    const uint32_t bits = prefix > i * 8 ? std::min<uint32_t>(prefix - i * 8, 8) : 0;
    out.bytes[i] &= static_cast<uint8_t>(0xff00u >> bits);
  }
  return out;
}

std::string_view bytes_of(const http::Address& address) {
  return {reinterpret_cast<const char*>(address.bytes), sizeof(address.bytes)};
}

// Of several the first. Decoded: "a" and "%61" are one value to the server, too.
std::string_view parameter(std::string_view query, std::string_view name, Arena& arena) {
  std::string_view found;
  bool done = false;
  http::for_each_parameter(query, [&](std::string_view key, std::string_view value) {
    if (done || !http::equals_decoded(key, name)) return;
    done = true;
    char* const text = static_cast<char*>(arena.allocate(value.size() + 1, 1));
    size_t size = 0;
    if (http::decode(value, {text, value.size()}, size)) found = {text, size};
  });
  return found;
}

std::string_view cookie(const http::HeaderList& headers, std::string_view name) {
  std::string_view found;
  http::for_each_cookie(headers, [&](std::string_view key, std::string_view value) {
    if (found.empty() && key == name) found = value;
  });
  return found;
}

// Empty: the request lacks it. Not for kClientIp, which none lacks.
std::string_view value_of(const KeyPart& part, const Asked& asked, Arena& arena) {
  switch (part.source) {
    case Source::kClientIp: break;
    case Source::kHost: return asked.head.host;
    case Source::kPath: return asked.path;
    case Source::kRoute: return asked.route;
    case Source::kHeader: {
      const http::Header* const header = asked.head.headers.find(part.name);
      return header == nullptr ? std::string_view() : header->value;
    }
    case Source::kCookie: return cookie(asked.head.headers, part.name);
    case Source::kQuery: return parameter(asked.head.query, part.name, arena);
    case Source::kJwt: {
      const proxy::Claims::Entry* const claim =
          asked.claims == nullptr ? nullptr : asked.claims->find(part.name);
      return claim == nullptr ? std::string_view() : claim->text;
    }
  }
  return {};
}

// A value and an address that stands in for one come from different halves of the hash: no client
// can write a header that is another one's address.
uint64_t hash_value(const SipKey& secret, std::string_view value) { return secret.hash(value).low; }
uint64_t hash_client(const SipKey& secret, const http::Address& client, uint32_t prefix) {
  return secret.hash(bytes_of(masked(client, prefix))).high;
}

uint64_t hash_part(const KeyPart& part, const Key& key, const SipKey& secret, const Asked& asked,
                   Arena& arena) {
  const std::string_view value = value_of(part, asked, arena);
  return value.empty() ? hash_client(secret, *asked.client, key.ipv6_prefix)
                       : hash_value(secret, value);
}

uint64_t hash_both(const SipKey& secret, uint64_t first, uint64_t second) {
  const std::array<uint64_t, 2> both = {first, second};
  return secret.hash({reinterpret_cast<const char*>(both.data()), sizeof(both)}).low;
}

void append_quoted(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '&' || c == '=' || c == '\\') out += '\\';
    out += c;
  }
}

// What stands before `end`, which goes with it; all where it does not come. append_quoted() undone.
std::string cut_unquoted(std::string_view& text, char end) {
  std::string out;
  size_t at = 0;
  for (; at < text.size() && text[at] != end; ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    out += text[at];
  }
  text.remove_prefix(std::min(at + 1, text.size()));
  return out;
}

std::string address_text(const http::Address* client, uint32_t prefix) {
  if (client == nullptr) return "$client_ip";
  std::array<char, 46> text;
  return {text.data(), masked(*client, prefix).format(text.data())};
}

}  // namespace

bool Key::asks_for_claims() const {
  return std::any_of(parts.begin(), parts.end(),
                     [](const KeyPart& part) { return part.source == Source::kJwt; });
}

std::optional<KeyPart> parse_key_part(std::string_view text) {
  for (const auto& [word, source] : kWhole) {
    if (text == word) return KeyPart{source, {}};
  }
  for (const auto& [prefix, source] : kNamed) {
    if (text.starts_with(prefix) && text.size() > prefix.size()) {
      return KeyPart{source, std::string(text.substr(prefix.size()))};
    }
  }
  return std::nullopt;
}

std::string key_part_text(const KeyPart& part) {
  for (const auto& [word, source] : kWhole) {
    if (part.source == source) return std::string(word);
  }
  for (const auto& [prefix, source] : kNamed) {
    if (part.source == source) return std::string(prefix) + part.name;
  }
  return {};
}

uint64_t hash_key(const Key& key, const SipKey& secret, const Asked& asked, Arena& arena) {
  uint64_t hash = hash_part(key.parts.front(), key, secret, asked, arena);
  for (size_t i = 1; i < key.parts.size(); ++i) {
    hash = hash_both(secret, hash, hash_part(key.parts[i], key, secret, asked, arena));
  }
  return hash;
}

std::string key_text(const Key& key, const Asked& asked, Arena& arena) {
  std::string out;
  for (const KeyPart& part : key.parts) {
    if (!out.empty()) out += '&';
    if (part.source == Source::kJwt && asked.client == nullptr) {
      out += key_part_text(part) + "=$claim";
      continue;
    }
    const std::string_view value = value_of(part, asked, arena);
    append_quoted(out, value.empty() ? "client_ip" : key_part_text(part));
    out += '=';
    append_quoted(out, value.empty() ? address_text(asked.client, key.ipv6_prefix) : value);
  }
  return out;
}

Result<uint64_t> hash_text(const Key& key, const SipKey& secret, std::string_view text) {
  std::string form;
  uint64_t hash = 0;
  bool good = true;
  for (size_t i = 0; i < key.parts.size(); ++i) {
    const std::string part = key_part_text(key.parts[i]);
    form += form.empty() ? "" : "&";
    append_quoted(form, part);
    form += "=...";
    const std::string name = cut_unquoted(text, '=');
    const std::string value = cut_unquoted(text, '&');
    http::Address client;
    const bool by_client = name == "client_ip";
    good =
        good && (by_client ? http::Address::parse(value, client) : name == part && !value.empty());
    const uint64_t of_part =
        by_client ? hash_client(secret, client, key.ipv6_prefix) : hash_value(secret, value);
    hash = i == 0 ? of_part : hash_both(secret, hash, of_part);
  }
  if (good && text.empty()) return hash;
  return Result<uint64_t>::failure("a key of this limit is " + form +
                                   ", with client_ip=... for a part that requests lack");
}

}  // namespace weir::filters::rate_limit
