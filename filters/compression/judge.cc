#include "filters/compression/judge.h"

#include <algorithm>

#include "base/strings.h"
#include "http/chars.h"

namespace weir::filters::compression {

namespace {

using http::CacheFields;
using http::HeaderId;

// The one directive that is of interest here, with an argument or without. It is not worth reading
// all of them for each answer: what a quoted list has by that name only costs a compression.
bool is_no_transform(std::string_view item) {
  constexpr std::string_view kName = "no-transform";
  return iequals(item.substr(0, kName.size()), kName) &&
         (item.size() == kName.size() || !http::is_byte(item[kName.size()], http::kTokenByte));
}

bool forbids_transforming(const CacheFields& fields) {
  bool forbids = false;
  fields.for_each(HeaderId::kCacheControl, [&forbids](std::string_view line) {
    for_each_list_item(
        line, [&forbids](std::string_view item) { forbids = forbids || is_no_transform(item); });
  });
  return forbids;
}

// RFC 9110 8.4: "identity" is not to stand there, and says nothing where it does.
bool is_encoded(const CacheFields& fields) {
  bool encoded = false;
  fields.for_each(HeaderId::kContentEncoding, [&encoded](std::string_view line) {
    for_each_list_item(line, [&encoded](std::string_view item) {
      encoded = encoded || !iequals(item, "identity");
    });
  });
  return encoded;
}

bool may_have_encoded_body(int status) { return status != 204 && status != 205 && status != 304; }

std::optional<uint64_t> length_of(bool is_head, const http::ResponseHead& head) {
  if (is_head) {  // what a GET would bring; its framing says nothing
    const http::Header* field = head.headers.find(http::HeaderId::kContentLength);
    uint64_t length = 0;
    if (field == nullptr || !parse_u64(field->value, length)) return {};
    return length;
  }
  switch (head.framing) {
    case http::Framing::kNone: return 0;
    case http::Framing::kLength: return head.content_length;
    default: return {};
  }
}

// Of other bytes than those that go out now, or of how to ask for a part of them.
constexpr uint64_t kOfPlainBody =
    http::bit(http::HeaderId::kContentLength) | http::bit(http::HeaderId::kContentEncoding);
bool is_of_plain_body(std::string_view name) {
  constexpr std::string_view kNames[] = {"Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
                                         "Accept-Ranges"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view known) { return iequals(name, known); });
}

}  // namespace

Wish wish_of(const http::RequestHead& head, const CacheFields& fields) {
  Wish wish;
  wish.is_head = head.method == http::Method::kHead;
  // Without chunks the end of the body could only be told by closing the connection.
  if (head.version == http::Version::kHttp10) return wish;
  if (!fields.has(HeaderId::kAcceptEncoding)) return wish;
  if (head.headers.find("x-no-compression") != nullptr) return wish;
  if (forbids_transforming(fields)) return wish;
  wish.accepts = fields.joined(HeaderId::kAcceptEncoding, head.headers.arena());
  return wish;
}

Encoding encoding_for(const Options& options, const Wish& wish) {
  if (wish.accepts.empty()) return Encoding::kIdentity;
  http::AcceptEncoding accepts;
  accepts.add(wish.accepts);
  return accepts.choose(options.offered());
}

Judgement judge(const Options& options, const Wish& wish, const http::ResponseHead& head,
                const CacheFields& fields) {
  Judgement out;
  if (head.status < 200) return out;
  const http::Header* type = fields.headers().find(http::HeaderId::kContentType);
  if (type == nullptr || !options.types.contains(type->value)) return out;
  if (is_encoded(fields) || forbids_transforming(fields)) return out;
  if (options.skip_set_cookie && fields.has(HeaderId::kSetCookie)) return out;
  out.length_bytes = length_of(wish.is_head, head);
  const bool is_part = head.status == 206 || fields.has(HeaderId::kContentRange);
  const uint64_t min_bytes = std::max<uint64_t>(options.min_size_bytes, 1);
  if (!is_part && out.length_bytes && *out.length_bytes < min_bytes) {
    // A 304 has no body to be measured.
    out.varies = head.status == 304;
    return out;
  }
  out.varies = true;
  out.compressible = may_have_encoded_body(head.status) && !is_part;
  out.long_lived = iequals(essence(type->value), "text/event-stream");
  return out;
}

void add_vary(http::HeaderList& headers, std::string_view name) {
  std::string_view merged;
  bool said = false;
  size_t lines = 0;
  for (const http::Header& header : headers) {
    if (header.id != http::HeaderId::kVary) continue;
    ++lines;
    for_each_list_item(header.value, [&](std::string_view item) {
      said = said || item == "*" || iequals(item, name);
    });
    if (header.value.empty()) continue;
    merged = merged.empty() ? header.value : headers.arena().concat({merged, ", ", header.value});
  }
  if (said && lines == 1) return;
  if (lines == 0) return headers.add("Vary", name, http::HeaderId::kVary);
  if (!said) merged = merged.empty() ? name : headers.arena().concat({merged, ", ", name});
  headers.set("Vary", merged);
}

void tell_encoding(http::HeaderList& headers, Encoding encoding) {
  headers.remove_if([](const http::Header& header) {
    return (http::bit(header.id) & kOfPlainBody) != 0 ||
           (header.id == http::HeaderId::kOther && is_of_plain_body(header.name));
  });
  headers.add("Content-Encoding", http::encoding_name(encoding), http::HeaderId::kContentEncoding);
}

}  // namespace weir::filters::compression
