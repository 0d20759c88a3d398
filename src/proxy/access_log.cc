#include "proxy/access_log.h"

#include <cstring>
#include <ctime>
#include <utility>

#include "base/escape.h"
#include "base/strings.h"
#include "net/tls.h"
#include "upstream/cluster.h"

namespace weir::proxy {
namespace {

constexpr size_t kNumberBytesMax = 24;  // a uint64_t, or milliseconds with three decimals

template <size_t kSize>
char* put(char* out, const char (&literal)[kSize]) {
  std::memcpy(out, literal, kSize - 1);
  return out + kSize - 1;
}

char* put_number(char* out, uint64_t value) { return out + format_u64(value, out); }

char* put_three_digits(char* out, uint64_t value) {
  out[0] = static_cast<char>('0' + value / 100);
  out[1] = static_cast<char>('0' + value / 10 % 10);
  out[2] = static_cast<char>('0' + value % 10);
  return out + 3;
}

char* put_ms(char* out, uint64_t us) {
  out = put_number(out, us / 1000);
  *out++ = '.';
  return put_three_digits(out, us % 1000);
}

std::string_view version_name(http::Version version) {
  switch (version) {
    case http::Version::kHttp10: return "HTTP/1.0";
    case http::Version::kHttp11: return "HTTP/1.1";
    case http::Version::kHttp2: return "HTTP/2.0";
  }
  return {};
}

std::string_view upstream_of(const Summary& summary) {
  return summary.server == nullptr ? std::string_view() : summary.server->upstream;
}

std::string_view server_of(const Summary& summary) {
  return summary.server == nullptr ? std::string_view() : summary.server->server;
}

// "upstream: timeout: no answer within 60 s"
char* put_error(char* out, const Error& error) {
  if (!error) return out;
  out = escape_json(source_word(error.source), out);
  out = put(out, ": ");
  out = escape_json(kind_word(error.kind), out);
  if (error.detail[0] == '\0') return out;
  out = put(out, ": ");
  return escape_json(error.detail, out);
}

char* put_or_dash(char* out, std::string_view value) {
  return value.empty() ? put(out, "-") : escape_combined(value, out);
}

// Behind "tls", inside the quotes.
char* put_tls(char* out, const Summary& summary) {
  out = escape_json(summary.tls_cipher, put(out, R"(","tls_cipher":")"));
  const net::TlsPeer* peer = summary.tls_peer;
  if (peer == nullptr) return out;
  out = escape_json(peer->verify, put(out, R"(","tls_client_verify":")"));
  out = escape_json(peer->subject, put(out, R"(","tls_client_subject":")"));
  return escape_json(peer->names, put(out, R"(","tls_client_san":")"));
}

size_t tls_bytes(const Summary& summary) {
  const net::TlsPeer* peer = summary.tls_peer;
  return summary.tls.size() + summary.tls_cipher.size() +
         (peer == nullptr ? 0 : peer->verify.size() + peer->subject.size() + peer->names.size());
}

uint64_t next_random(uint64_t& state) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * 0x2545f4914f6cdd1dULL;
}

}  // namespace

// ---- LineFormatter ----

size_t LineFormatter::bytes_max(const Summary& summary) {
  constexpr size_t kNamesBytesMax = 512;  // field names, punctuation, time, protocol, words
  constexpr size_t kNumbersBytesMax = 6 * kNumberBytesMax;
  const size_t text = summary.client.size() + summary.method.size() + summary.host.size() +
                      summary.uri.size() + summary.route.size() + upstream_of(summary).size() +
                      server_of(summary).size() + summary.request_id.size() +
                      summary.trace_id.size() + summary.user_agent.size() + summary.referer.size() +
                      summary.tries.size() + summary.limit.size() + tls_bytes(summary) +
                      std::strlen(summary.error.detail);
  return kNamesBytesMax + kNumbersBytesMax + text * kEscapedMax;
}

void LineFormatter::keep_second(uint64_t unix_s) {
  const auto time = static_cast<std::time_t>(unix_s);
  std::tm utc = {};
  gmtime_r(&time, &utc);
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::strftime(json_second_, sizeof(json_second_), "%Y-%m-%dT%H:%M:%S", &utc);
  std::strftime(combined_time_, sizeof(combined_time_), "%d/   /%Y:%H:%M:%S +0000", &utc);
  std::memcpy(combined_time_ + 3, kMonths[utc.tm_mon], 3);  // strftime's would be the locale's
  second_ = unix_s;
}

char* LineFormatter::json(const Summary& summary, char* out) {
  const uint64_t wall_s = summary.started_wall_us / 1'000'000;
  if (wall_s != second_) keep_second(wall_s);
  out = put(out, R"({"time":")");
  std::memcpy(out, json_second_, kJsonSecondBytes);
  out = put(out + kJsonSecondBytes, ".");
  out = put_three_digits(out, summary.started_wall_us / 1000 % 1000);
  out = escape_json(summary.client, put(out, R"(Z","client":")"));
  out = escape_json(summary.method, put(out, R"(","method":")"));
  out = escape_json(summary.host, put(out, R"(","host":")"));
  out = escape_json(summary.uri, put(out, R"(","uri":")"));
  out = escape_json(version_name(summary.version), put(out, R"(","protocol":")"));
  out = put_number(put(out, R"(","status":)"), static_cast<uint64_t>(summary.status));
  out = put_number(put(out, R"(,"bytes_in":)"), summary.bytes_in);
  out = put_number(put(out, R"(,"bytes_out":)"), summary.bytes_out);
  out = put_ms(put(out, R"(,"duration_ms":)"), summary.duration_us);
  out = escape_json(summary.route, put(out, R"(,"route":")"));
  out = escape_json(upstream_of(summary), put(out, R"(","upstream":")"));
  out = escape_json(server_of(summary), put(out, R"(","server":")"));
  out = put_number(put(out, R"(","attempts":)"), summary.attempts);
  if (!summary.tries.empty()) {
    out = put(escape_json(summary.tries, put(out, R"(,"tries":")")), "\"");
  }
  out = put_ms(put(out, R"(,"upstream_ms":)"), summary.upstream_us);
  out = escape_json(summary.request_id, put(out, R"(,"request_id":")"));
  out = escape_json(summary.trace_id, put(out, R"(","trace_id":")"));
  out = escape_json(summary.user_agent, put(out, R"(","user_agent":")"));
  out = escape_json(summary.referer, put(out, R"(","referer":")"));
  out = escape_json(summary.tls, put(out, R"(","tls":")"));
  if (!summary.tls.empty()) out = put_tls(out, summary);
  out = escape_json(summary.cache, put(out, R"(","cache":")"));
  out = escape_json(summary.limit, put(out, R"(","limit":")"));
  out = put_error(put(out, R"(","error":")"), summary.error);
  return put(out, "\"}\n");
}

char* LineFormatter::combined(const Summary& summary, char* out) {
  const uint64_t wall_s = summary.started_wall_us / 1'000'000;
  if (wall_s != second_) keep_second(wall_s);
  out = put(put_or_dash(out, summary.client), " - - [");
  std::memcpy(out, combined_time_, kCombinedTimeBytes);
  out = put(out + kCombinedTimeBytes, "] \"");
  if (summary.method.empty()) {
    out = put(out, "-");  // no request line was understood
  } else {
    out = put(escape_combined(summary.method, out), " ");
    out = put(escape_combined(summary.uri, out), " ");
    out = escape_combined(version_name(summary.version), out);
  }
  out = put_number(put(out, "\" "), static_cast<uint64_t>(summary.status));
  out = put_number(put(out, " "), summary.bytes_out);
  out = put_or_dash(put(out, " \""), summary.referer);
  out = put_or_dash(put(out, "\" \""), summary.user_agent);
  return put(out, "\"\n");
}

// ---- AccessLog ----

AccessLog::AccessLog(LogWriter* writer, Metrics& metrics)
    : writer_(writer), metrics_(metrics), random_(reinterpret_cast<uintptr_t>(this) | 1) {}

void AccessLog::configure(const AccessLogConfig& config) {
  const double sample = config.path == "off" ? 0.0 : config.sample;
  format_ = config.format;
  constexpr double kRange = 18446744073709551616.0;  // 2^64
  if (sample >= 1.0)
    sample_below_ = UINT64_MAX;
  else
    sample_below_ = sample > 0.0 ? static_cast<uint64_t>(sample * kRange) : 0;
}

bool AccessLog::is_sampled() {
  return sample_below_ == UINT64_MAX || next_random(random_) < sample_below_;
}

bool AccessLog::append(const Summary& summary) {
  if (writer_ == nullptr || !summary.log || !is_sampled()) return false;
  make_room(LineFormatter::bytes_max(summary));
  char* const begin = buffer_.bytes.get() + buffer_.used;
  const char* const end = format_ == LogFormat::kJson ? formatter_.json(summary, begin)
                                                      : formatter_.combined(summary, begin);
  buffer_.used += static_cast<size_t>(end - begin);
  return ++buffer_.lines == 1;
}

void AccessLog::make_room(size_t bytes) {
  if (buffer_.capacity - buffer_.used >= bytes) return;
  flush();
  if (buffer_.capacity >= bytes) return;
  buffer_.capacity = bytes > LogBuffer::kBytes ? bytes : LogBuffer::kBytes;
  buffer_.bytes.reset(new char[buffer_.capacity]);
}

void AccessLog::flush() {
  if (buffer_.lines == 0) return;
  if (writer_->submit(buffer_)) return;
  metrics_.access_log_dropped.add(buffer_.lines);
  buffer_.used = 0;
  buffer_.lines = 0;
}

}  // namespace weir::proxy
