// Any text as host, path, field name or value: the rules agree with themselves, and the writer lets
// nothing break a line, whoever made the head.
#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "h1_fuzz.h"

namespace {

using namespace weir;
using namespace weir::http;

void check_host(std::string_view text) {
  if (!is_valid_host(text)) return;
  Arena arena(test::pool());
  const std::string_view host = host_of(text, arena);
  WEIR_CHECK(is_valid_host(host) && host_of(host, arena) == host);
  WEIR_CHECK(is_field_value(text) && text.find_first_of(" \t,/@\\") == std::string_view::npos);
}

void check_path(std::string_view text, bool merge) {
  Arena arena(test::pool());
  const std::string_view path = normalise_path(text, merge, arena);
  if (text.empty() || text.front() != '/') {
    WEIR_CHECK(path == text);
    return;
  }
  if (path.empty()) return;
  WEIR_CHECK(path.front() == '/' && path.size() <= text.size());
  WEIR_CHECK(normalise_path(path, merge, arena) == path);
  WEIR_CHECK(path.find("/../") == std::string_view::npos && !path.ends_with("/.."));
  WEIR_CHECK(path.find("/./") == std::string_view::npos && !path.ends_with("/."));
  WEIR_CHECK(!merge || path.find("//") == std::string_view::npos);
}

std::vector<std::string_view> lines_of(std::string_view text, char end) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t at = text.find(end);
    lines.push_back(text.substr(0, at));
    text.remove_prefix(std::min(text.size(), lines.back().size() + 1));
  }
  return lines;
}

// A head whose every text a careless hand may have made.
void check_writer(const std::vector<std::string_view>& texts) {
  Arena arena(test::pool());
  RequestHead request(arena);
  ResponseHead response(arena);
  request.method_text = "GET";
  request.target = texts[0];
  response.status = 200;
  response.reason = texts[0];
  for (size_t i = 1; i + 1 < texts.size(); i += 2) {
    request.headers.add(texts[i], texts[i + 1]);
    response.headers.add(texts[i], texts[i + 1]);
  }
  HeadLimits limits;
  limits.header_size_bytes = limits.uri_bytes = 1 << 20;
  const ExtraField extras[] = {{"X-Extra", texts.back()}};
  Buffer to_backend(test::pool());
  write_request_head(request, texts[0], 0, extras, 1, {}, to_backend);
  fuzz::one_head(to_backend, true, limits);
  Buffer to_client(test::pool());
  write_response_head(response, {}, {}, extras, 1, {}, to_client);
  fuzz::one_head(to_client, false, limits);
  Buffer last(test::pool());
  write_last_chunk(&response.headers, last);
  const std::string trailer = test::text_of(last);
  WEIR_CHECK(trailer.find("\r\n\r\n") == trailer.size() - 4 || trailer == "0\r\n\r\n");
}

void check_bytes(std::string_view text) {
  bool control = false;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    control = control || (byte < 0x20 && c != '\t') || byte == 0x7f;
  }
  WEIR_CHECK(is_field_value(text) == !control);
  if (is_token(text)) WEIR_CHECK(is_request_target(text) || text.find('#') != text.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_host(text);
  check_path(text, false);
  check_path(text, true);
  check_bytes(text);
  // Parts are separated by a byte that is none of the interesting ones.
  const std::vector<std::string_view> parts = lines_of(text, '\xfe');
  for (const std::string_view part : parts) {
    check_host(part);
    check_path(part, true);
  }
  if (!parts.empty()) check_writer(parts);
  return 0;
}
