#include "http/h1_parser.h"

#include <llhttp/llhttp.h>

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "http/chars.h"

#if defined(WEIR_LLHTTP_SSE42)
// llhttp's automaton, compiled a second time (CMakeLists.txt).
extern "C" int llhttp__internal_execute_sse42(llhttp_t*, const char* from, const char* to);
#endif

namespace weir::http {
namespace {

constexpr uint32_t kSizeLineBytesMax = 4096;
constexpr uint8_t kSizeDigitsMax = 16;
// Chunks may be small and extensions long, but not both for ever: each chunk pays for its own line
// up to this much, each body byte for two more, and what is owed beyond that is bounded.
constexpr uint32_t kFreeBytesPerChunk = 16;
constexpr uint32_t kExcessBytesMax = 16 * 1024;
constexpr uint32_t kPartialTrailerBytes = 256;

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

std::string_view start_line_of(std::string_view head) {
  return head.substr(0, std::min(head.find('\r'), head.size()));
}

// "METHOD SP target SP HTTP/x.y", with single spaces and nothing else.
Refusal split_request_line(std::string_view line, RequestHead& out) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {400, "request_line_invalid"};
  out.method_text = line.substr(0, first);
  out.target = line.substr(first + 1, last - first - 1);
  if (!is_token(out.method_text) || out.target.find(' ') != std::string_view::npos) {
    return {400, "request_line_invalid"};
  }
  if (Refusal refusal = check_version(line.substr(last + 1), out.version)) return refusal;
  out.method = parse_method(out.method_text);
  return {};
}

// "HTTP/x.y SP nnn [SP reason]".
Refusal split_status_line(std::string_view line, ResponseHead& out) {
  constexpr size_t kStatusAt = 9;
  constexpr size_t kReasonAt = 13;
  if (Refusal refusal = check_version(line.substr(0, kStatusAt - 1), out.version)) return refusal;
  const std::string_view rest = line.substr(kStatusAt - 1);
  uint64_t status = 0;
  if (rest.size() < 4 || rest[0] != ' ' || !parse_u64(rest.substr(1, 3), status) ||
      (rest.size() > 4 && rest[4] != ' ')) {
    return {502, "status_line_invalid"};
  }
  out.status = static_cast<int>(status);
  out.reason = line.size() > kReasonAt ? line.substr(kReasonAt) : std::string_view();
  return {};
}

}  // namespace

Refusal H1Parser::parse_fields(std::string_view head, bool request, HeaderList& headers,
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

Refusal H1Parser::parse_request(std::string_view head, const HeadLimits& limits, RequestHead& out) {
  begin_body(Framing::kNone, 0, limits);
  if (Refusal refusal = split_request_line(start_line_of(head), out)) return refusal;
  if (Refusal refusal = parse_fields(head, true, out.headers, limits.headers)) return refusal;
  if (Refusal refusal = check_request(out, limits)) return refusal;
  begin_body(out.framing, out.content_length, limits);
  return {};
}

Refusal H1Parser::parse_response(std::string_view head, Method request_method,
                                 const HeadLimits& limits, ResponseHead& out) {
  const auto bad = [](const char* reason) { return Refusal{502, reason}; };
  begin_body(Framing::kNone, 0, limits);
  if (Refusal refusal = split_status_line(start_line_of(head), out)) return bad(refusal.reason);
  if (Refusal refusal = parse_fields(head, false, out.headers, limits.headers)) {
    return bad(refusal.reason);
  }
  if (Refusal refusal = check_response(out, request_method, limits)) return refusal;
  begin_body(out.framing, out.content_length, limits);
  return {};
}

void H1Parser::begin_body(Framing framing, uint64_t length, const HeadLimits& limits) {
  *this = H1Parser();
  framing_ = framing;
  left_ = framing == Framing::kLength ? length : 0;
  chunk_ = framing == Framing::kChunked ? Chunk::kSize : Chunk::kDone;
  trailer_bytes_left_ = limits.header_size_bytes;
  trailers_left_ = limits.headers;
}

bool is_known_method(std::string_view method) {
  if (parse_method(method) != Method::kOther) return true;
  for (int i = HTTP_DELETE; i <= HTTP_SOURCE; ++i) {
    if (method == llhttp_method_name(static_cast<llhttp_method_t>(i))) return true;
  }
  return false;
}

H1Parser::Body H1Parser::bad(const char* reason) {
  reason_ = reason;
  return Body::kBad;
}

bool H1Parser::finish_on_close() const {
  switch (framing_) {
    case Framing::kNone:
    case Framing::kUntilClose: return true;
    case Framing::kLength: return left_ == 0;
    case Framing::kChunked: return chunk_ == Chunk::kDone;
  }
  return false;
}

H1Parser::Body H1Parser::next(std::string_view& bytes, std::string_view& piece,
                              HeaderList& trailers) {
  switch (framing_) {
    case Framing::kNone: return Body::kDone;
    case Framing::kLength:
      if (left_ == 0) return Body::kDone;
      break;
    case Framing::kUntilClose: break;
    case Framing::kChunked: return next_chunked(bytes, piece, trailers);
  }
  if (bytes.empty()) return Body::kNeed;
  piece = bytes;
  if (framing_ == Framing::kLength) {
    piece = bytes.substr(0, std::min<uint64_t>(left_, bytes.size()));
    left_ -= piece.size();
  }
  bytes.remove_prefix(piece.size());
  return Body::kPiece;
}

H1Parser::Body H1Parser::next_chunked(std::string_view& bytes, std::string_view& piece,
                                      HeaderList& trailers) {
  if (*reason_ != '\0') return Body::kBad;
  if (chunk_ == Chunk::kDone) return Body::kDone;
  while (!bytes.empty()) {
    switch (chunk_) {
      case Chunk::kData:
        piece = bytes.substr(0, std::min<uint64_t>(left_, bytes.size()));
        bytes.remove_prefix(piece.size());
        left_ -= piece.size();
        if (left_ == 0) chunk_ = Chunk::kDataCr;
        return Body::kPiece;
      case Chunk::kDataCr:
        if (bytes.front() != '\r') return bad("chunk_end_missing");
        bytes.remove_prefix(1);
        chunk_ = Chunk::kDataLf;
        break;
      case Chunk::kDataLf:
        if (bytes.front() != '\n') return bad("chunk_end_missing");
        bytes.remove_prefix(1);
        chunk_ = Chunk::kSize;
        size_digits_ = 0;
        line_bytes_ = 0;
        break;
      case Chunk::kTrailer: return read_trailers(bytes, trailers);
      default:
        if (const Body body = read_size_line(bytes); body != Body::kPiece) return body;
        break;
    }
  }
  return Body::kNeed;
}

H1Parser::Body H1Parser::read_size_line(std::string_view& bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (++line_bytes_ > kSizeLineBytesMax) return bad("chunk_overhead");
    const char c = bytes[at++];
    if (chunk_ == Chunk::kSizeLf) {
      if (c != '\n') return bad("bare_cr");
      bytes.remove_prefix(at);
      return end_size_line();
    }
    if (chunk_ == Chunk::kSize || chunk_ == Chunk::kSizeMore) {
      if (is_byte(c, kHexByte)) {
        if (++size_digits_ > kSizeDigitsMax) return bad("chunk_size_invalid");
        left_ = left_ * 16 + hex_value(c);
        chunk_ = Chunk::kSizeMore;
        continue;
      }
      if (chunk_ == Chunk::kSize) return bad("chunk_size_invalid");
    }
    if (c == ';') {
      chunk_ = Chunk::kExtension;
    } else if (c == '\r' && chunk_ != Chunk::kSizeSpace) {
      chunk_ = Chunk::kSizeLf;
    } else if (chunk_ == Chunk::kExtension) {
      // Extensions end at this hop (RFC 9112 7.1.1): only what could end the line matters.
      if (is_byte(c, kControlByte) && c != '\t') return bad("chunk_extension_invalid");
    } else if (c == ' ' || c == '\t') {
      chunk_ = Chunk::kSizeSpace;  // bad whitespace: only before an extension
    } else {
      return bad("chunk_size_invalid");
    }
  }
  bytes.remove_prefix(at);
  return Body::kNeed;
}

H1Parser::Body H1Parser::end_size_line() {
  if (left_ > static_cast<uint64_t>(INT64_MAX)) return bad("chunk_size_invalid");
  excess_bytes_ += line_bytes_;
  const uint64_t paid = kFreeBytesPerChunk + 2 * std::min<uint64_t>(left_, kExcessBytesMax);
  excess_bytes_ -= static_cast<uint32_t>(std::min<uint64_t>(excess_bytes_, paid));
  if (excess_bytes_ > kExcessBytesMax) return bad("chunk_overhead");
  chunk_ = left_ == 0 ? Chunk::kTrailer : Chunk::kData;
  return Body::kPiece;
}

H1Parser::Body H1Parser::read_trailers(std::string_view& bytes, HeaderList& trailers) {
  while (!bytes.empty()) {
    const void* const lf = std::memchr(bytes.data(), '\n', bytes.size());
    const size_t part = lf == nullptr
                            ? bytes.size()
                            : static_cast<size_t>(static_cast<const char*>(lf) - bytes.data()) + 1;
    if (part > trailer_bytes_left_) return bad("trailers_too_large");
    trailer_bytes_left_ -= static_cast<uint32_t>(part);
    if (partial_size_ + part > partial_capacity_) {
      partial_capacity_ = std::max({kPartialTrailerBytes, 2 * partial_capacity_,
                                    partial_size_ + static_cast<uint32_t>(part)});
      auto* const grown = static_cast<char*>(trailers.arena().allocate(partial_capacity_, 1));
      std::copy_n(partial_, partial_size_, grown);
      partial_ = grown;
    }
    bytes.copy(partial_ + partial_size_, part);
    partial_size_ += static_cast<uint32_t>(part);
    bytes.remove_prefix(part);
    if (lf == nullptr) return Body::kNeed;
    const std::string_view line(partial_, partial_size_);
    partial_ += partial_size_;
    partial_capacity_ -= partial_size_;
    partial_size_ = 0;
    if (const Body body = end_trailer_line(line, trailers); body != Body::kPiece) return body;
  }
  return Body::kNeed;
}

H1Parser::Body H1Parser::end_trailer_line(std::string_view line, HeaderList& trailers) {
  if (!line.ends_with("\r\n")) return bad("bare_lf");
  line.remove_suffix(2);
  if (line.empty()) {
    chunk_ = Chunk::kDone;
    return Body::kDone;
  }
  if (trailers_left_-- == 0) return bad("trailers_too_many");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)) ||
      !is_field_value(line.substr(colon + 1))) {
    return bad("trailer_invalid");
  }
  const std::string_view name = line.substr(0, colon);
  const Header trailer{name, trim_ows(line.substr(colon + 1)), classify(name)};
  if (trailer_allowed(trailer)) trailers.add(trailer);
  return Body::kPiece;
}

#define WEIR_TEXT_OF(x) #x
#define WEIR_TEXT(x) WEIR_TEXT_OF(x)
const char* parser_version() {
  return WEIR_TEXT(LLHTTP_VERSION_MAJOR) "." WEIR_TEXT(LLHTTP_VERSION_MINOR) "." WEIR_TEXT(
      LLHTTP_VERSION_PATCH);
}

}  // namespace weir::http
