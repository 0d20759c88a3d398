// Any first bytes of a connection as a PROXY header: one verdict however they arrive, never a byte
// more than was said, and what is understood can be written and read back.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "http/proxy_protocol.h"

namespace {

using namespace weir;
using namespace weir::http;
using State = ProxyHeader::State;

bool same(const ConnectionEnds& a, const ConnectionEnds& b) {
  return a.source == b.source && a.destination == b.destination && a.source_port == b.source_port &&
         a.destination_port == b.destination_port;
}

void check_written(const ConnectionEnds& ends) {
  for (const ProxyVersion version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
    char out[kProxyHeaderOutBytes];
    const std::string_view written(out, format_proxy_header(version, ends, out));
    const ProxyHeader again = parse_proxy_header(written);
    WEIR_CHECK(again.state == State::kComplete && again.size_bytes == written.size());
    WEIR_CHECK(again.has_ends && same(again.ends, ends));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader header = parse_proxy_header(bytes);
  WEIR_CHECK(header.state != State::kPartial || size < limits::kProxyHeaderBytes);
  WEIR_CHECK((header.state == State::kBad) == (header.reason != nullptr));
  size_t decided = 0;
  while (decided < size && parse_proxy_header(bytes.substr(0, decided)).state == State::kPartial) {
    ++decided;
  }
  const ProxyHeader early = parse_proxy_header(bytes.substr(0, decided));
  WEIR_CHECK(early.state == header.state && early.size_bytes == header.size_bytes);
  if (header.state != State::kComplete) return 0;
  WEIR_CHECK(header.size_bytes == decided && header.size_bytes <= limits::kProxyHeaderBytes);
  if (header.has_ends) check_written(header.ends);
  return 0;
}
