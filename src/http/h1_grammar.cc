#include "http/h1_grammar.h"

#include <llhttp/llhttp.h>

#include "base/strings.h"

#if defined(WEIR_LLHTTP_SSE42)
// llhttp's automaton, compiled a second time (CMakeLists.txt).
extern "C" int llhttp__internal_execute_sse42(llhttp_t*, const char* from, const char* to);
#endif

namespace weir::http {
namespace {

// What llhttp's callbacks note while it walks over one head.
struct FieldNotes {
  HeaderList* headers;
  uint32_t headers_max;
  bool too_many = false;
  std::string_view name;
};

FieldNotes& notes_of(llhttp_t* parser) { return *static_cast<FieldNotes*>(parser->data); }

int on_field_name(llhttp_t* parser, const char* at, size_t length) noexcept {
  notes_of(parser).name = {at, length};
  return 0;
}

int on_field_value(llhttp_t* parser, const char* at, size_t length) noexcept {
  FieldNotes& notes = notes_of(parser);
  if (notes.headers->size() == notes.headers_max) {
    notes.too_many = true;
    return -1;
  }
  notes.headers->add(notes.name, trim_ows({at, length}));
  return 0;
}

// Framing is decided by http/rules: llhttp never goes beyond the head.
int on_head_complete(llhttp_t*) noexcept { return HPE_PAUSED; }

const llhttp_settings_t& head_settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_header_field = on_field_name;
    made.on_header_value = on_field_value;
    made.on_headers_complete = on_head_complete;
    return made;
  }();
  return settings;
}

llhttp_errno_t execute(llhttp_t& parser, std::string_view head) {
#if defined(WEIR_LLHTTP_SSE42)
  if (__builtin_cpu_supports("sse4.2")) {
    return static_cast<llhttp_errno_t>(
        llhttp__internal_execute_sse42(&parser, head.data(), head.data() + head.size()));
  }
#endif
  return llhttp_execute(&parser, head.data(), head.size());
}

Refusal refusal_of(llhttp_errno_t error) {
  switch (error) {
    // The start line is known to be well-formed here, so the method is a token that llhttp does
    // not know, or that of another protocol on its grammar (RTSP).
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT: return {501, "method_unknown"};
    case HPE_INVALID_HEADER_TOKEN: return {400, "header_invalid"};
    case HPE_INVALID_CONTENT_LENGTH: return {400, "content_length_invalid"};
    case HPE_UNEXPECTED_CONTENT_LENGTH: return {400, "content_length_conflict"};
    case HPE_INVALID_TRANSFER_ENCODING: return {400, "transfer_encoding_not_chunked"};
    default: return {400, "malformed"};
  }
}

}  // namespace

Refusal parse_fields(std::string_view head, bool request, HeaderList& headers,
                     uint32_t headers_max) {
  headers.clear();
  FieldNotes notes{&headers, headers_max, false, {}};
  llhttp_t parser;
  llhttp_init(&parser, request ? HTTP_REQUEST : HTTP_RESPONSE, &head_settings());
  parser.data = &notes;
  const llhttp_errno_t error = execute(parser, head);
  if (error == HPE_PAUSED) {
    // An end that llhttp sees elsewhere than scan_head() did would be a smuggled message.
    const bool all = llhttp_get_error_pos(&parser) == head.data() + head.size();
    return all ? Refusal{} : Refusal{400, "malformed"};
  }
  if (notes.too_many) return {431, "too_many_headers"};
  return error == HPE_OK ? Refusal{400, "malformed"} : refusal_of(error);
}

bool is_known_method(std::string_view method) {
  if (parse_method(method) != Method::kOther) return true;
  for (int i = HTTP_DELETE; i <= HTTP_SOURCE; ++i) {
    if (method == llhttp_method_name(static_cast<llhttp_method_t>(i))) return true;
  }
  return false;
}

#define WEIR_TEXT_OF(x) #x
#define WEIR_TEXT(x) WEIR_TEXT_OF(x)
const char* parser_version() {
  return WEIR_TEXT(LLHTTP_VERSION_MAJOR) "." WEIR_TEXT(LLHTTP_VERSION_MINOR) "." WEIR_TEXT(
      LLHTTP_VERSION_PATCH);
}

}  // namespace weir::http
