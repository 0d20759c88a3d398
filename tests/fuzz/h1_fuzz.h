// What holds for every HTTP/1 message whatever its bytes; shared by the request and the response
// fuzzer. A broken rule dies by WEIR_CHECK.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../unit/http/h1_support.h"
#include "base/check.h"
#include "http/h1_grammar.h"
#include "http/h1_parser.h"
#include "http/h1_writer.h"
#include "http/head_fields.h"
#include "http/rules.h"

namespace weir::http::fuzz {

// Room for what the writer adds to a head that was right at its limits.
inline HeadLimits roomier(HeadLimits limits) {
  limits.header_size_bytes += 4096;
  limits.headers += 8;
  limits.uri_bytes += 1;
  return limits;
}

// Small, so that inputs of a few hundred bytes reach them.
inline HeadLimits small_limits() { return {600, 12, 120}; }

// Lengths of parts from 1 byte on, the same for the same input.
class Cuts {
 public:
  explicit Cuts(std::string_view seed) : state_(seed.size() + 0x9e3779b97f4a7c15u) {
    for (const char c : seed) state_ = (state_ ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  }
  size_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return 1 + state_ % (state_ & 64 ? 3 : 40);
  }

 private:
  uint64_t state_;
};

// The same head must be found, or refused for the same reason, when bytes come in parts.
inline HeadScan scan_both_ways(std::string_view bytes, bool request, const HeadLimits& limits) {
  const HeadScan whole = scan_head(bytes, 0, request, limits);
  Cuts cuts(bytes);
  HeadScan part;
  size_t size = 0;
  do {
    size = std::min(bytes.size(), size + cuts.next());
    part = scan_head(bytes.substr(0, size), part.resume, request, limits);
  } while (size < bytes.size() && !part.refusal && part.end == 0);
  WEIR_CHECK(part.refusal.status == whole.refusal.status);
  WEIR_CHECK(std::string_view(part.refusal.reason) == whole.refusal.reason);
  WEIR_CHECK(part.end == whole.end);
  WEIR_CHECK(whole.end == 0 || part.begin == whole.begin);
  return whole;
}

// What split_fields() accepts, llhttp does, and finds the same in it. For a plain start line. False
// where it does not.
inline bool check_split(std::string_view head, bool request, const HeadLimits& limits) {
  Arena arena(test::pool());
  HeaderList split(arena);
  HeaderList parsed(arena);
  if (split_fields(head, head.find('\r'), split, limits.headers) == 0) return false;
  WEIR_CHECK(!parse_fields(head, request, parsed, limits.headers));
  WEIR_CHECK(split.size() == parsed.size());
  for (size_t i = 0; i < split.size(); ++i) {
    const Header& a = split.begin()[i];
    const Header& b = parsed.begin()[i];
    WEIR_CHECK(a.name == b.name && a.value == b.value && a.id == b.id);
    const std::string written = std::string(b.name) + ": " + std::string(b.value) + "\r\n";
    WEIR_CHECK(a.line().empty() || a.line() == written);
  }
  return true;
}

inline void check_fields(const HeaderList& headers) {
  for (const Header& header : headers) {
    WEIR_CHECK(is_token(header.name));
    WEIR_CHECK(is_field_value(header.value));
    WEIR_CHECK(header.id == classify(header.name));
  }
}

struct BodyRead {
  H1Parser::Body last = H1Parser::Body::kNeed;
  std::string body;
  std::string trailers;
  std::string reason;
  size_t taken = 0;
};

// Reads a body with a copy of `parser`, in parts if `cuts` says so.
inline BodyRead read_body(H1Parser parser, std::string_view bytes, Cuts* cuts) {
  Arena arena(test::pool());
  HeaderList trailers(arena);
  BodyRead read;
  do {
    const size_t left = bytes.size() - read.taken;
    const size_t size = cuts == nullptr ? left : std::min(left, cuts->next());
    // In memory of its own, so that a view kept too long is seen by the sanitizer.
    const std::string part(bytes.substr(read.taken, size));
    std::string_view input = part;
    std::string_view piece;
    while ((read.last = parser.next(input, piece, trailers)) == H1Parser::Body::kPiece) {
      WEIR_CHECK(!piece.empty());
      WEIR_CHECK(piece.data() >= part.data() && piece.end() <= part.data() + part.size());
      read.body += piece;
    }
    read.taken += size - input.size();
    if (read.last == H1Parser::Body::kNeed) WEIR_CHECK(input.empty());
  } while (read.last == H1Parser::Body::kNeed && read.taken < bytes.size());
  read.reason = parser.error_reason();
  WEIR_CHECK((read.last == H1Parser::Body::kBad) == !read.reason.empty());
  check_fields(trailers);
  for (const Header& header : trailers) {
    WEIR_CHECK(trailer_allowed(header));
    read.trailers += std::string(header.name) + ":" + std::string(header.value) + "\n";
  }
  return read;
}

// How the body reads does not depend on how it comes.
inline BodyRead body_both_ways(const H1Parser& parser, std::string_view bytes) {
  const BodyRead whole = read_body(parser, bytes, nullptr);
  Cuts cuts(bytes);
  const BodyRead parts = read_body(parser, bytes, &cuts);
  WEIR_CHECK(whole.last == parts.last && whole.body == parts.body);
  WEIR_CHECK(whole.trailers == parts.trailers && whole.reason == parts.reason);
  if (whole.last == H1Parser::Body::kDone) WEIR_CHECK(whole.taken == parts.taken);
  if (parser.framing() == Framing::kLength) {
    WEIR_CHECK(whole.body.size() == std::min<uint64_t>(parser.body_left(), bytes.size()));
  }
  return whole;
}

// What the writer made is one head, to its last byte.
inline std::string one_head(const Buffer& out, bool request, const HeadLimits& limits) {
  std::string text = test::text_of(out);
  WEIR_CHECK(text.size() == out.size());
  const HeadScan scan = scan_head(text, 0, request, limits);
  WEIR_CHECK(!scan.refusal && scan.begin == 0 && scan.end == text.size());
  return text;
}

}  // namespace weir::http::fuzz
