#include "http/h1_parser.h"

#include <algorithm>
#include <cstring>

#include "base/strings.h"
#include "http/chars.h"
#include "http/h1_grammar.h"
#include "http/head_fields.h"

namespace weir::http {
namespace {

constexpr uint32_t kSizeLineBytesMax = 4096;
constexpr uint8_t kSizeDigitsMax = 16;
// Chunks may be small and extensions long, but not both for ever: each chunk pays for its own line
// up to this much, each body byte for two more, and what is owed beyond that is bounded.
constexpr uint32_t kFreeBytesPerChunk = 16;
constexpr uint32_t kExcessBytesMax = 16 * 1024;
constexpr uint32_t kPartialTrailerBytes = 256;

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

// What was read of it may be of no message at all, and lies where it will not stay.
void forget_start(RequestHead& head) {
  head.method = Method::kGet;
  head.version = Version::kHttp11;
  head.method_text = head.target = {};
  head.headers.clear();
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

Refusal H1Parser::parse_request(std::string_view head, const HeadLimits& limits, RequestHead& out) {
  begin_body(Framing::kNone, 0, limits);
  const std::string_view line = start_line_of(head);
  if (Refusal refusal = split_request_line(line, out)) return refusal;
  if (!is_plain_start(out) ||
      split_fields(head, line.size(), out.headers, limits.headers) != head.size()) {
    if (Refusal refusal = parse_fields(head, true, out.headers, limits.headers)) return refusal;
  }
  return judge_request(limits, out);
}

Refusal H1Parser::judge_request(const HeadLimits& limits, RequestHead& out) {
  if (Refusal refusal = check_request(out, limits)) return refusal;
  begin_body(out.framing, out.content_length, limits);
  return {};
}

size_t H1Parser::split_plain_request(std::string_view bytes, const HeadLimits& limits,
                                     RequestHead& out) {
  const std::string_view line = start_line_of(bytes);
  if (line.size() > start_line_bytes_max(limits) || split_request_line(line, out) ||
      !is_plain_start(out)) {
    return 0;
  }
  return split_fields(bytes, line.size(), out.headers, limits.headers);
}

Refusal H1Parser::parse_plain_request(std::string_view bytes, const HeadLimits& limits,
                                      RequestHead& out, size_t& taken) {
  begin_body(Framing::kNone, 0, limits);
  taken = split_plain_request(bytes.substr(0, limits.header_size_bytes), limits, out);
  if (taken == 0) {
    forget_start(out);
    return {};
  }
  const char* const from = bytes.data();
  const char* const copy = out.headers.arena().copy(bytes.substr(0, taken)).data();
  out.method_text = moved(out.method_text, from, copy);
  out.target = moved(out.target, from, copy);
  out.headers.follow(from, copy);
  return judge_request(limits, out);
}

Refusal H1Parser::parse_response(std::string_view head, Method request_method,
                                 const HeadLimits& limits, ResponseHead& out) {
  const auto bad = [](const char* reason) { return Refusal{502, reason}; };
  begin_body(Framing::kNone, 0, limits);
  const std::string_view line = start_line_of(head);
  if (Refusal refusal = split_status_line(line, out)) return bad(refusal.reason);
  if (split_fields(head, line.size(), out.headers, limits.headers) != head.size()) {
    if (Refusal refusal = parse_fields(head, false, out.headers, limits.headers)) {
      return bad(refusal.reason);
    }
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

}  // namespace weir::http
