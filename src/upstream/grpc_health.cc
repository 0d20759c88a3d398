#include "upstream/grpc_health.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/strings.h"

namespace weir::upstream {

namespace {

constexpr size_t kPrefixBytes = 5;    // "not compressed", and the length of the message
constexpr char kServiceField = 0x0a;  // HealthCheckRequest: field 1, a string
constexpr char kStatusField = 0x08;   // HealthCheckResponse: field 1, a number

// Absent is 0, as protobuf leaves defaults out. -1: not a message of that kind.
int serving_status(std::string_view message) {
  if (message.empty()) return 0;
  if (message.size() < 2 || message[0] != kStatusField) return -1;
  return static_cast<unsigned char>(message[1]) < 0x80 ? message[1] : -1;
}

}  // namespace

std::string grpc_health_request(std::string_view service) {
  constexpr size_t kOneByteLength = 0x80;
  WEIR_CHECK(service.size() < kOneByteLength);
  std::string out(kPrefixBytes, '\0');
  if (service.empty()) return out;
  out += kServiceField;
  out += static_cast<char>(service.size());
  out += service;
  const size_t length = out.size() - kPrefixBytes;
  out[3] = static_cast<char>(length >> 8);
  out[4] = static_cast<char>(length & 0xff);
  return out;
}

std::string judge_grpc_health(const http::HeaderList& trailers, std::string_view body) {
  const http::Header* code = trailers.find("grpc-status");
  if (code == nullptr) return "no grpc-status";
  uint64_t number = 0;
  if (!parse_u64(code->value, number)) return "a broken grpc-status";
  if (number == 5) return "grpc-status 5: the service is not known";
  if (number == 12) return "grpc-status 12: there is no health service";
  if (number != 0) return fmt::format("grpc-status {}", number);
  if (body.size() < kPrefixBytes || body[0] != 0) return "a broken message";
  switch (serving_status(body.substr(kPrefixBytes))) {
    case 0: return "UNKNOWN";
    case 1: return "";
    case 2: return "NOT_SERVING";
    case 3: return "SERVICE_UNKNOWN";
    default: return "a broken message";
  }
}

}  // namespace weir::upstream
