#include "http/h1_writer.h"

#include <cstring>

#include "base/check.h"
#include "base/strings.h"
#include "http/chars.h"
#include "http/rules.h"

namespace weir::http {
namespace {

// Hop-by-hop fields and what the writer says itself.
constexpr uint64_t kNeverCopied = kHopByHopMask | bit(HeaderId::kContentLength);
constexpr uint64_t kNeverCopiedInRequest =
    kNeverCopied | bit(HeaderId::kHost) | bit(HeaderId::kExpect);

// What the writer adds of its own at most, without the texts it is given: framing, the fields of an
// upgrade or TE, "Date", colons and ends of lines.
constexpr size_t kOwnBytesMax = 160;

// A head is emitted straight into reserved memory. Only if what was not read as it stands turns out
// unsound, has a tab, or might not fit a block, it is written once more, with each field looked at.

class DirectSink {
 public:
  explicit DirectSink(char* at) : from_(at), at_(at), unseen_(at) {}
  void put(std::string_view text) { at_ = put_text(at_, text); }
  void put_start(std::string_view text) { put(text); }
  void end_line() {
    put("\r\n");
    ++lines_;
  }
  void put_field(std::string_view name, std::string_view value) {
    // A blank here would continue the line before.
    sound_ = sound_ && !name.empty() && is_byte(name.front(), kTokenByte);
    put(name);
    put(": ");
    put(value);
    end_line();
  }
  void put_lines(std::string_view lines) {
    look();
    put(lines);
    unseen_ = at_;
  }
  // With no control byte but the ends of lines, in all but what put_lines() was given.
  bool is_sound() {
    look();
    return sound_ && control_bytes_ == 2 * lines_;
  }
  size_t bytes() const { return static_cast<size_t>(at_ - from_); }

 private:
  void look() {
    control_bytes_ += count_control_bytes({unseen_, static_cast<size_t>(at_ - unseen_)});
    unseen_ = at_;
  }

  char* const from_;
  char* at_;
  char* unseen_;
  size_t control_bytes_ = 0;
  size_t lines_ = 0;  // without those of put_lines()
  bool sound_ = true;
};

class CheckingSink {
 public:
  explicit CheckingSink(Buffer& out) : out_(&out) {}
  void put(std::string_view text) { out_->append(text); }
  void put_start(std::string_view text) {
    for (const char& c : text) put(is_byte(c, kControlByte) ? "_" : std::string_view(&c, 1));
  }
  void end_line() { put("\r\n"); }
  void put_field(std::string_view name, std::string_view value) {
    if (!is_token(name) || !is_field_value(value)) {
      ++dropped_;
      return;
    }
    put(name);
    put(": ");
    put(value);
    end_line();
  }
  void put_lines(std::string_view lines) { put(lines); }
  size_t dropped() const { return dropped_; }

 private:
  Buffer* out_;
  size_t dropped_ = 0;
};

// Calls emit(sink) as often as needed; see above. It writes no more than `bytes_max`. Returns the
// number of fields left out.
template <typename Emit>
size_t write_lines(const Emit& emit, size_t bytes_max, Buffer& out) {
  if (bytes_max <= Block::capacity()) {
    DirectSink direct(out.reserve(bytes_max));
    emit(direct);
    WEIR_ASSERT(direct.bytes() <= bytes_max);
    if (direct.is_sound()) {
      out.commit(direct.bytes());
      return 0;
    }
  }
  CheckingSink checking(out);
  emit(checking);
  return checking.dropped();
}

// Lines as they were read go on as they are, as many at once as stood in a row.
template <typename Sink>
void emit_fields(const HeaderList& headers, uint64_t left_out, Sink& sink) {
  const char* from = nullptr;
  const char* to = nullptr;
  for (const Header& header : headers) {
    if ((bit(header.id) & left_out) != 0) continue;
    if (header.in_line && header.name.data() == to) {
      to += header.line_bytes();
      continue;
    }
    if (from != to) sink.put_lines({from, static_cast<size_t>(to - from)});
    from = to = header.name.data();
    if (header.in_line) {
      to += header.line_bytes();
    } else {
      sink.put_field(header.name, header.value);
    }
  }
  if (from != to) sink.put_lines({from, static_cast<size_t>(to - from)});
}

template <typename Sink>
void emit_extras(const ExtraField* extras, size_t count, Sink& sink) {
  for (size_t i = 0; i < count; ++i) sink.put_field(extras[i].name, extras[i].value);
}

size_t line_bytes(const ExtraField* extras, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) bytes += extras[i].name.size() + extras[i].value.size() + 4;
  return bytes;
}

template <typename Sink>
void emit_framing(Framing framing, std::string_view length, Sink& sink) {
  if (framing == Framing::kLength) sink.put_field("Content-Length", length);
  if (framing == Framing::kChunked) sink.put_field("Transfer-Encoding", "chunked");
}

template <typename Sink>
void emit_upgrade(std::string_view upgrade, Sink& sink) {
  sink.put_field("Connection", "Upgrade");
  sink.put_field("Upgrade", upgrade);
}

}  // namespace

size_t write_request_head(const RequestHead& head, std::string_view host, uint64_t skip_mask,
                          const ExtraField* extras, size_t extras_count, std::string_view upgrade,
                          Buffer& out) {
  char digits[20];
  const std::string_view length(digits, format_u64(head.content_length, digits));
  const bool keeps_te = head.version == Version::kHttp2 && wants_trailers(head.headers);
  const size_t texts = head.method_text.size() + head.target.size() + host.size() +
                       head.headers.line_bytes() + line_bytes(extras, extras_count) +
                       upgrade.size();
  const auto emit = [&](auto& sink) {
    sink.put_start(head.method_text);
    sink.put(" ");
    sink.put_start(head.target);
    sink.put(" HTTP/1.1");
    sink.end_line();
    sink.put("Host: ");
    sink.put_start(host);
    sink.end_line();
    emit_fields(head.headers, kNeverCopiedInRequest | skip_mask, sink);
    emit_extras(extras, extras_count, sink);
    emit_framing(head.framing, length, sink);
    if (!upgrade.empty()) {
      emit_upgrade(upgrade, sink);
    } else if (keeps_te) {
      sink.put_field("TE", "trailers");
      sink.put_field("Connection", "TE");
    }
    sink.end_line();
  };
  return write_lines(emit, texts + kOwnBytesMax, out);
}

size_t write_response_head(const ResponseHead& head, const ResponseFraming& framing,
                           std::string_view date, const ExtraField* extras, size_t extras_count,
                           std::string_view upgrade, Buffer& out) {
  char digits[20];
  const std::string_view length(digits, format_u64(framing.content_length, digits));
  char status[20];
  const std::string_view status_text(status,
                                     format_u64(static_cast<uint64_t>(head.status), status));
  const std::string_view reason = head.reason.empty() ? default_reason(head.status) : head.reason;
  const uint64_t kept = framing.keep_content_length ? bit(HeaderId::kContentLength) : 0;
  const bool needs_date = !date.empty() && head.headers.find(HeaderId::kDate) == nullptr;
  const size_t texts = reason.size() + head.headers.line_bytes() +
                       line_bytes(extras, extras_count) + date.size() + upgrade.size();
  const auto emit = [&](auto& sink) {
    sink.put("HTTP/1.1 ");
    sink.put(status_text);
    sink.put(" ");
    sink.put_start(reason);
    sink.end_line();
    emit_fields(head.headers, kNeverCopied & ~kept, sink);
    emit_extras(extras, extras_count, sink);
    if (needs_date) sink.put_field("Date", date);
    emit_framing(framing.framing, length, sink);
    if (!upgrade.empty()) {
      emit_upgrade(upgrade, sink);
    } else if (framing.close) {
      sink.put_field("Connection", "close");
    } else if (framing.keep_alive_10) {
      sink.put_field("Connection", "keep-alive");
    }
    sink.end_line();
  };
  return write_lines(emit, texts + kOwnBytesMax, out);
}

size_t format_chunk_size(uint64_t bytes, char* out) {
  constexpr char kHex[] = "0123456789abcdef";
  size_t digits = 1;
  for (uint64_t rest = bytes >> 4; rest != 0; rest >>= 4) ++digits;
  for (size_t i = digits; i > 0; --i, bytes >>= 4) out[i - 1] = kHex[bytes & 15];
  std::memcpy(out + digits, "\r\n", 2);
  return digits + 2;
}

size_t write_last_chunk(const HeaderList* trailers, Buffer& out) {
  const auto emit = [trailers](auto& sink) {
    sink.put("0");
    sink.end_line();
    if (trailers != nullptr) emit_fields(*trailers, kNeverCopied, sink);
    sink.end_line();
  };
  return write_lines(emit, (trailers == nullptr ? 0 : trailers->line_bytes()) + kOwnBytesMax, out);
}

std::string_view default_reason(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 423: return "Locked";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    case 511: return "Network Authentication Required";
    default: return "Unknown";
  }
}

}  // namespace weir::http
