#include "net/srv.h"

#include <algorithm>

namespace weir::net {

namespace {

constexpr uint16_t kTypeSrv = 33;
constexpr uint16_t kClassInternet = 1;

// Steps through a message; once `broken`, nothing more is read. Our own, as
// ares_parse_srv_reply() of c-ares leaves the TTL out.
struct Reader {
  std::span<const uint8_t> message;
  size_t at = 0;
  bool broken = false;

  bool has(size_t bytes) {
    broken |= message.size() - at < bytes;
    return !broken;
  }
  uint16_t u16() {
    if (!has(2)) return 0;
    at += 2;
    return static_cast<uint16_t>(message[at - 2] << 8 | message[at - 1]);
  }
  uint32_t u32() {
    const uint32_t high = u16();
    return high << 16 | u16();
  }
  void skip(size_t bytes) {
    if (has(bytes)) at += bytes;
  }
  // In small letters. What is compressed points backwards only, so that reading ends (RFC
  // 1035 4.1.4).
  std::string name() {
    constexpr size_t kNameMaxBytes = 255;
    constexpr uint8_t kLabelMaxBytes = 63;
    constexpr uint8_t kPointer = 0xc0;
    std::string text;
    size_t from = at;    // the next label
    size_t before = at;  // the next pointer's target is before it
    bool jumped = false;
    while (from < message.size()) {
      const uint8_t length = message[from++];
      if (length >= kPointer && from < message.size()) {
        const size_t target = static_cast<size_t>(length & ~kPointer) << 8 | message[from];
        if (!jumped) at = from + 1;
        jumped = true;
        if (target >= before) break;
        from = before = target;
        continue;
      }
      if (length == 0) {
        if (!jumped) at = from;
        return text;
      }
      if (length > kLabelMaxBytes || message.size() - from < length) break;
      if (text.size() + length >= kNameMaxBytes) break;
      if (!text.empty()) text += '.';
      for (const uint8_t byte : message.subspan(from, length)) {
        text += static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte - 'A' + 'a' : byte);
      }
      from += length;
    }
    broken = true;
    return {};
  }
};

// Also of what goes into logs and labels: no odd bytes.
bool is_host_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

SrvRecord read_srv(Reader& reader, size_t end) {
  SrvRecord record;
  record.priority = reader.u16();
  record.weight = reader.u16();
  record.port = reader.u16();
  record.target = reader.name();
  reader.broken |= reader.at != end;
  return record;
}

}  // namespace

SrvAnswer parse_srv_answer(std::span<const uint8_t> message) {
  constexpr size_t kToCounts = 4;  // id and flags
  constexpr size_t kOtherCounts = 4;
  Reader reader{message};
  reader.skip(kToCounts);
  const uint16_t questions = reader.u16();
  const uint16_t answers = reader.u16();
  reader.skip(kOtherCounts);
  for (size_t i = 0; i < questions && !reader.broken; ++i) {
    reader.name();
    reader.skip(4);  // type and class
  }
  SrvAnswer result;
  uint32_t ttl_s = UINT32_MAX;
  bool not_offered = false;
  for (size_t i = 0; i < answers && !reader.broken; ++i) {
    reader.name();
    const uint16_t type = reader.u16();
    const uint16_t net_class = reader.u16();
    ttl_s = std::min(ttl_s, reader.u32());  // of a CNAME on the way, too
    const size_t bytes = reader.u16();
    if (!reader.has(bytes)) break;
    if (type != kTypeSrv || net_class != kClassInternet) {
      reader.skip(bytes);
      continue;
    }
    SrvRecord record = read_srv(reader, reader.at + bytes);
    if (reader.broken) break;
    not_offered |= record.target.empty();
    if (record.port != 0 && is_host_name(record.target)) result.records.push_back(record);
  }
  if (reader.broken) return {{}, 0, "the answer is malformed"};
  std::vector<SrvRecord>& records = result.records;
  std::sort(records.begin(), records.end());
  records.erase(std::unique(records.begin(), records.end()), records.end());
  if (records.empty() && !not_offered) result.error = "no usable SRV record";
  if (ttl_s != UINT32_MAX) result.ttl_ms = uint64_t{ttl_s} * 1000;
  return result;
}

}  // namespace weir::net
