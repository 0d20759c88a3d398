// Host, authority and path: what routing reads. Part of rules.h.
#include <algorithm>

#include "base/strings.h"
#include "http/chars.h"
#include "http/forwarded.h"
#include "http/rules.h"

namespace weir::http {
namespace {

constexpr size_t kHostBytesMax = 255;

bool is_port(std::string_view text) {
  uint64_t port = 0;
  return text.size() <= 5 && parse_u64(text, port) && port >= 1 && port <= 65535;
}

bool is_hex_pair(std::string_view text, size_t at) {
  return at + 2 <= text.size() && is_byte(text[at], kHexByte) && is_byte(text[at + 1], kHexByte);
}

bool is_reg_name(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '%') {
      if (!is_hex_pair(name, i + 1)) return false;
      i += 2;
    } else if (!is_byte(name[i], kRegNameByte)) {
      return false;
    } else if (name[i] == '.' && i + 1 < name.size() && name[i + 1] == '.') {
      return false;
    }
  }
  return true;
}

// Where the host of a "host[:port]" ends, without judging it.
size_t host_end(std::string_view authority) {
  if (!authority.empty() && authority.front() == '[') {
    const size_t bracket = authority.find(']');
    return bracket == std::string_view::npos ? authority.size() : bracket + 1;
  }
  return std::min(authority.find(':'), authority.size());
}

// A part of a segment that a backend may take for ".." when it reads "\", an encoded separator or a
// path parameter otherwise than weir does.
bool looks_like_parent(std::string_view part) {
  return part.starts_with("..") && (part.size() == 2 || part[2] == ';');
}

// `segment` is already decoded as far as weir decodes. True when splitting it further, as some
// backends do, would make it climb.
bool hides_parent(std::string_view segment) {
  size_t begin = 0;
  for (size_t i = 0; i < segment.size(); ++i) {
    size_t separator = 0;
    if (segment[i] == '\\') {
      separator = 1;
    } else if (segment.substr(i, 3) == "%2F" || segment.substr(i, 3) == "%5C") {
      separator = 3;
    }
    if (separator == 0) continue;
    if (looks_like_parent(segment.substr(begin, i - begin))) return true;
    begin = i + separator;
    i = begin - 1;
  }
  return looks_like_parent(segment.substr(begin)) && segment != "..";
}

bool needs_normalising(std::string_view path, bool merge_slashes) {
  for (size_t i = 0; i < path.size(); ++i) {
    switch (path[i]) {
      case '%':
      case '\\': return true;
      case '.':
        if (i > 0 && path[i - 1] == '/') return true;
        break;
      case '/':
        if (merge_slashes && i > 0 && path[i - 1] == '/') return true;
        break;
      default: break;
    }
  }
  return false;
}

// Copies one segment to `out`: unreserved characters decoded, the hex of others in upper case.
// Returns its end, or null when an escape is broken or names NUL.
char* decode_segment(std::string_view segment, char* out) {
  for (size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] != '%') {
      *out++ = segment[i];
      continue;
    }
    if (!is_hex_pair(segment, i + 1)) return nullptr;
    const unsigned byte = hex_value(segment[i + 1]) * 16 + hex_value(segment[i + 2]);
    if (byte == 0) return nullptr;
    if (is_byte(static_cast<char>(byte), kUnreservedByte)) {
      *out++ = static_cast<char>(byte);
    } else {
      constexpr char kHex[] = "0123456789ABCDEF";
      *out++ = '%';
      *out++ = kHex[byte >> 4];
      *out++ = kHex[byte & 15];
    }
    i += 2;
  }
  return out;
}

}  // namespace

bool is_valid_host(std::string_view host) {
  const size_t end = host_end(host);
  if (end == 0 || end > kHostBytesMax) return false;
  if (end < host.size() && (host[end] != ':' || !is_port(host.substr(end + 1)))) return false;
  const std::string_view name = host.substr(0, end);
  if (name.front() != '[') return is_reg_name(name);
  Address address;
  return name.find(':') != std::string_view::npos && Address::parse(name, address);
}

bool is_request_target(std::string_view target) {
  return !target.empty() && all_target_bytes(target);
}

std::string_view host_of(std::string_view authority, Arena& arena) {
  std::string_view host = authority.substr(0, host_end(authority));
  if (Address address; host.starts_with('[') && Address::parse(host, address) && !address.v4) {
    char text[47] = {'['};
    const size_t bytes = address.format(text + 1);
    text[bytes + 1] = ']';
    return arena.copy({text, bytes + 2});
  }
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  size_t at = 0;
  while (at < host.size() && host[at] == to_lower(host[at])) ++at;
  if (at == host.size()) return host;
  auto* lower = static_cast<char*>(arena.allocate(host.size(), 1));
  for (size_t i = 0; i < host.size(); ++i) lower[i] = to_lower(host[i]);
  return {lower, host.size()};
}

std::string_view normalise_path(std::string_view path, bool merge_slashes, Arena& arena) {
  if (path.empty() || path.front() != '/' || !needs_normalising(path, merge_slashes)) return path;
  // Never longer than what came. Each round handles one "/segment".
  auto* const begin = static_cast<char*>(arena.allocate(path.size(), 1));
  char* out = begin;
  for (size_t at = 0; at < path.size();) {
    const size_t next = std::min(path.find('/', at + 1), path.size());
    const bool last = next == path.size();
    if (!(merge_slashes && out > begin && out[-1] == '/')) *out++ = '/';
    char* const segment_begin = out;
    out = decode_segment(path.substr(at + 1, next - at - 1), out);
    if (out == nullptr) return {};
    const std::string_view segment(segment_begin, static_cast<size_t>(out - segment_begin));
    if (hides_parent(segment)) return {};
    if (segment == "." || segment == "..") {
      const bool up = segment.size() == 2;
      out = segment_begin - 1;  // at the slash before the segment
      if (up) {
        if (out == begin) return {};
        do --out;
        while (*out != '/');
      }
      if (last) *out++ = '/';
    }
    at = next;
  }
  if (out == begin) *out++ = '/';
  const std::string_view normal(begin, static_cast<size_t>(out - begin));
  return normal == path ? path : normal;
}

}  // namespace weir::http
