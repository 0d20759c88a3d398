// Any frames from a client: requests that are accepted go on as HTTP/1.1 that an equally strict
// backend reads in the same way; the session always ends or goes on, and leaves nothing behind.
#include <map>
#include <memory>

#include "../unit/http/h2_support.h"
#include "h1_fuzz.h"
#include "http/h2_rules.h"

namespace {

using namespace weir;
using namespace weir::http;

constexpr std::string_view kNoSettings("\0\0\0\4\0\0\0\0\0", 9);

void check_request(const RequestHead& head) {
  WEIR_CHECK(head.version == Version::kHttp2);
  fuzz::check_fields(head.headers);
  if (head.method == Method::kConnect) return;
  Buffer out(test::pool());
  WEIR_CHECK(write_request_head(head, head.authority, 0, nullptr, 0, head.upgrade, out) == 0);
  const HeadLimits limits = fuzz::roomier(fuzz::small_limits());
  const std::string text = fuzz::one_head(out, true, limits);
  Arena arena(test::pool());
  RequestHead again(arena);
  H1Parser parser;
  WEIR_CHECK(!parser.parse_request(text, limits, again));
  WEIR_CHECK(again.method_text == head.method_text && again.target == head.target);
  WEIR_CHECK(again.authority == head.authority && again.framing == head.framing);
  WEIR_CHECK(again.content_length == head.content_length);
  WEIR_CHECK(again.upgrade.empty() == head.upgrade.empty());
}

// A server that answers everything at once, and gives up on what it refuses.
class Server {
 public:
  Server() : session_(H2Session::Role::kServer, settings(), test::pool()) {}

  void run(std::string_view bytes) {
    fuzz::Cuts cuts(bytes);
    bool sound = true;
    while (sound && !bytes.empty()) {
      std::string_view part = bytes.substr(0, cuts.next());
      bytes.remove_prefix(part.size());
      while (sound && !part.empty()) {
        sound = session_.receive(part, ++now_ms_);
        dispatch();
      }
      write();
    }
    WEIR_CHECK(sound || *session_.failure() != '\0');
    write();
    if (!sound) WEIR_CHECK(session_.done());
  }

 private:
  static H2Settings settings() {
    H2Settings settings;
    settings.streams_max = 4;
    settings.stream_window_bytes = 65'535;
    settings.header_bytes_max = fuzz::small_limits().header_size_bytes;
    settings.headers_max = fuzz::small_limits().headers;
    settings.connect_protocol = true;
    return settings;
  }

  void dispatch() {
    for (size_t i = 0; i < session_.events().size(); ++i) {
      const H2Event event = session_.events()[i];
      switch (event.kind) {
        case H2Event::Kind::kHeaders: on_head(event); break;
        case H2Event::Kind::kData:
          session_.consumed(event.id, event.data.size(), event.id % 4 == 1);
          break;
        case H2Event::Kind::kClosed: streams_.erase(event.id); break;
        default: break;
      }
    }
    session_.clear_events();
  }

  void on_head(const H2Event& event) {
    Arena arena(test::pool());
    if (!event.opens) {
      HeaderList trailers(arena);
      if (!read_h2_trailers(*event.fields, trailers)) fuzz::check_fields(trailers);
      return;
    }
    auto stream = std::make_unique<test::Stream>();
    if (!session_.attach(event.id, *stream)) return;
    RequestHead head(arena);
    const H2Refusal refusal =
        read_h2_request(*event.fields, event.last, true, fuzz::small_limits(), head);
    if (refusal || event.refused != nullptr) {
      session_.reset(event.id, H2Code::kProtocolError);
    } else {
      check_request(head);
      session_.add_field(":status", "200");
      session_.submit_response(*stream, false);
      session_.send(*stream, head.target);
      session_.add_field("x-end", "1");
      session_.send_end(*stream);
    }
    streams_[event.id] = std::move(stream);
  }

  void write() {
    Buffer out(test::pool());
    session_.serialise(out, SIZE_MAX);
    dispatch();
  }

  std::map<int32_t, std::unique_ptr<test::Stream>> streams_;  // die after the session has ended
  H2Session session_;
  uint64_t now_ms_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  // Most inputs are frames behind a proper beginning; those that begin with "P" are on their own.
  if (size == 0 || data[0] != 'P')
    bytes.insert(0, std::string(kH2Preface) + std::string(kNoSettings));
  Server().run(bytes);
  return 0;
}
