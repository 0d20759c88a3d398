#include "http/h2_session.h"

#include <algorithm>

#include "base/check.h"
#include "http/h2_callbacks.h"
#include "http/h2_memory.h"

namespace weir::http {
namespace {

constexpr size_t kFeedBytes = 16 * 1024;
// The table of what is sent: a peer may offer more, which would only cost memory.
constexpr size_t kDeflateTableBytes = 4096;
// Heads that are sent were limited where they came from; nghttp2's own cap must not cut them.
constexpr size_t kSentHeadBytesMax = 4u << 20;
// Ids that a server leaves unused, so that no client is told that there are none left.
constexpr int32_t kSpareIds = 2 * 2000;

// Bytes of frames in a row, beyond a head, that brought no event: unknown types, padding, heads on
// streams that are gone.
constexpr uint32_t kIdleBytesMax = 256 * 1024;

// Limits that the flood guard applies first; these stand behind it.
constexpr uint64_t kNeverReached = 1u << 30;

nghttp2_option* make_options(const H2Settings& settings) {
  nghttp2_option* option = nullptr;
  WEIR_CHECK(nghttp2_option_new(&option) == 0);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_http_messaging(option, 1);  // h2_rules decides
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_deflate_dynamic_table_size(option, kDeflateTableBytes);
  nghttp2_option_set_max_send_header_block_length(option, kSentHeadBytesMax);
  nghttp2_option_set_max_reserved_remote_streams(option, 0);
  nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
  nghttp2_option_set_stream_reset_rate_limit(option, kNeverReached, kNeverReached);
  constexpr size_t kMoreContinuations = 8;
  nghttp2_option_set_max_continuations(option,
                                       settings.header_bytes_max / kFeedBytes + kMoreContinuations);
  return option;
}

const char* reason_of(ssize_t error) {
  switch (error) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC: return "preface";
    case NGHTTP2_ERR_FLOODED: return "control_flood";
    case NGHTTP2_ERR_TOO_MANY_SETTINGS: return "settings_flood";
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: return "continuation_flood";
    default: return "session";
  }
}

H2Code code_of(ssize_t error) {
  switch (error) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC: return H2Code::kProtocolError;
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_SETTINGS:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS: return H2Code::kEnhanceYourCalm;
    default: return H2Code::kInternalError;
  }
}

}  // namespace

const char* h2_code_word(H2Code code) {
  return nghttp2_http2_strerror(static_cast<uint32_t>(code));
}

const char* h2_library_version() { return nghttp2_version(0)->version_str; }

nghttp2_nv h2_field(std::string_view name, std::string_view value, bool indexed) {
  return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          static_cast<uint8_t>(indexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX)};
}

void H2Session::Deleter::operator()(nghttp2_session* session) const {
  nghttp2_session_del(session);
}

H2Session::H2Session(Role role, const H2Settings& settings, BlockPool& pool)
    : settings_(settings), role_(role), fields_arenas_{Arena(pool), Arena(pool)} {
  nghttp2_option* option = make_options(settings);
  nghttp2_session* raw = nullptr;
  const bool server = role == Role::kServer;
  const auto create = server ? nghttp2_session_server_new3 : nghttp2_session_client_new3;
  WEIR_CHECK(create(&raw, H2Callbacks::table(), this, option, h2_memory()) == 0);
  nghttp2_option_del(option);
  session_.reset(raw);
  nghttp2_settings_entry entries[5];
  size_t count = 0;
  entries[count++] = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.streams_max};
  entries[count++] = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window_bytes};
  // As RFC 9113 6.5.2 counts: 32 for each field.
  entries[count++] = {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.header_bytes_max};
  if (!server) entries[count++] = {NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  if (server) entries[count++] = {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
  if (settings.connect_protocol) {
    entries[count++] = {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  }
  nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, entries, count);
  nghttp2_session_set_local_window_size(raw, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(settings.connection_window_bytes));
}

H2Session::~H2Session() {
  streams_.for_each([](H2Stream& stream) { stream.hook_.unlink(); });
}

// ---- bytes in ----

bool H2Session::receive(std::string_view& bytes, uint64_t now_ms) {
  if (*failure_ != '\0') return false;
  now_ms_ = now_ms;
  const std::string_view part = bytes.substr(0, kFeedBytes);
  const size_t events_before = events_.size();
  const ssize_t taken = nghttp2_session_mem_recv(
      session_.get(), reinterpret_cast<const uint8_t*>(part.data()), part.size());
  if (taken < 0) {
    fail(code_of(taken), reason_of(taken));
    return false;
  }
  bytes.remove_prefix(static_cast<size_t>(taken));
  idle_bytes_ = events_.size() > events_before ? 0 : idle_bytes_ + taken;
  if (role_ == Role::kServer && idle_bytes_ > settings_.header_bytes_max + kIdleBytesMax) {
    fail(H2Code::kEnhanceYourCalm, flood_word(H2Flood::kEmptyFrame));
    return false;
  }
  return true;
}

void H2Session::clear_events() {
  if (events_.empty()) return;
  events_.clear();
  if (block_ != nullptr) {
    keep_open_block();
  } else {
    fields_arena_->reset();
  }
}

// The heads before it are done with: they must not stay for as long as there is always one more
// under way.
void H2Session::keep_open_block() {
  Arena& before = *fields_arena_;
  fields_arena_ = &before == &fields_arenas_[0] ? &fields_arenas_[1] : &fields_arenas_[0];
  auto* const kept = fields_arena_->make<HeaderList>(*fields_arena_);
  for (const Header& field : *block_) {
    kept->add_copy(field);
  }
  block_ = kept;
  before.reset();
}

H2Stream* H2Session::find(int32_t id) const {
  return static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

void H2Session::consumed(int32_t id, size_t bytes, bool hold) {
  nghttp2_session_consume_connection(session_.get(), bytes);
  if (!hold) open_window(id, bytes);
}

void H2Session::open_window(int32_t id, size_t bytes) {
  nghttp2_session_consume_stream(session_.get(), id, bytes);
}

// ---- streams ----

bool H2Session::attach(int32_t id, H2Stream& stream) {
  if (nghttp2_session_set_stream_user_data(session_.get(), id, &stream) != 0) return false;
  stream.id_ = id;
  stream.attached_ = true;
  streams_.push_back(stream);
  return true;
}

void H2Session::forget(H2Stream& stream) {
  stream.attached_ = false;
  stream.queue_.clear();
  stream.hook_.unlink();
}

void H2Session::detach(H2Stream& stream, H2Code code) {
  if (!stream.attached_) return;
  nghttp2_session_set_stream_user_data(session_.get(), stream.id_, nullptr);
  forget(stream);
  reset(stream.id_, code);
}

H2Stream* H2Session::queued_request(int32_t id) {
  H2Stream* found = nullptr;
  streams_.for_each([&](H2Stream& stream) {
    if (stream.id_ == id) found = &stream;
  });
  return found;
}

void H2Session::note_drained(H2Stream& stream) {
  if (!stream.watched_) return;
  stream.watched_ = false;
  H2Event event = {.kind = H2Event::Kind::kDrained};
  event.id = stream.id_;
  event.stream = &stream;
  events_.push_back(event);
}

void H2Session::add_field(std::string_view name, std::string_view value, bool indexed) {
  h2_field_scratch().push_back(h2_field(name, value, indexed));
}

bool H2Session::submit_request(H2Stream& stream, bool end) {
  std::vector<nghttp2_nv>& fields = h2_field_scratch();
  const nghttp2_data_provider body = H2Callbacks::body_of(stream);
  const int32_t id = nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                            end ? nullptr : &body, &stream);
  fields.clear();
  if (id < 0) return false;
  stream.id_ = last_id_ = id;
  stream.attached_ = true;
  stream.ended_ = end;
  streams_.push_back(stream);
  ++streams_open_;
  return true;
}

void H2Session::submit_informational(H2Stream& stream) {
  std::vector<nghttp2_nv>& fields = h2_field_scratch();
  if (stream.attached_) {
    nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, stream.id_, nullptr, fields.data(),
                           fields.size(), nullptr);
  }
  fields.clear();
}

void H2Session::submit_response(H2Stream& stream, bool end) {
  std::vector<nghttp2_nv>& fields = h2_field_scratch();
  const nghttp2_data_provider body = H2Callbacks::body_of(stream);
  if (stream.attached_) {
    stream.ended_ = end;
    nghttp2_submit_response(session_.get(), stream.id_, fields.data(), fields.size(),
                            end ? nullptr : &body);
  }
  fields.clear();
}

void H2Session::send(H2Stream& stream, std::string_view bytes) {
  if (!stream.attached_ || stream.ended_ || bytes.empty()) return;
  stream.queue_.append(bytes);
  wake(stream);
}

void H2Session::send_end(H2Stream& stream) {
  std::vector<nghttp2_nv>& fields = h2_field_scratch();
  if (stream.attached_ && !stream.ended_) {
    stream.ended_ = true;
    if (!fields.empty()) stream.trailers_ = stream.kept_.make<HeaderList>(stream.kept_);
    for (const nghttp2_nv& field : fields) {
      const std::string_view name(reinterpret_cast<const char*>(field.name), field.namelen);
      stream.trailers_->add_copy(
          {.name = name,
           .value = {reinterpret_cast<const char*>(field.value), field.valuelen},
           .id = classify(name),
           .never_indexed = (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0});
    }
    wake(stream);
  }
  fields.clear();
}

bool H2Session::window_closed(const H2Stream& stream) const {
  return stream.attached_ &&
         (nghttp2_session_get_remote_window_size(session_.get()) <= 0 ||
          nghttp2_session_get_stream_remote_window_size(session_.get(), stream.id_) <= 0);
}

void H2Session::wake(H2Stream& stream) {
  if (!stream.starved_) return;
  stream.starved_ = false;
  nghttp2_session_resume_data(session_.get(), stream.id_);
}

void H2Session::reset(int32_t id, H2Code code) {
  forget_block(id);
  if (H2Stream* stream = find(id)) stream->queue_.clear();
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}

// Nothing tells the end of the block of a stream that has ended before it.
void H2Session::forget_block(int32_t id) {
  if (block_id_ == id) block_ = nullptr;
}

void H2Session::set_priority(int32_t id, uint32_t urgency, bool incremental) {
  const nghttp2_extpri priority = {urgency, incremental ? 1 : 0};
  nghttp2_session_change_extpri_stream_priority(session_.get(), id, &priority, 0);
}

// ---- the connection ----

bool H2Session::can_open() const {
  return *failure_ == '\0' && streams_open_ < streams_allowed() &&
         nghttp2_session_check_request_allowed(session_.get()) != 0;
}

uint32_t H2Session::streams_allowed() const {
  return nghttp2_session_get_remote_settings(session_.get(),
                                             NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}

bool H2Session::peer_allows_connect() const {
  return nghttp2_session_get_remote_settings(session_.get(),
                                             NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void H2Session::ping() { nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr); }

void H2Session::announce_shutdown() { nghttp2_submit_shutdown_notice(session_.get()); }

int32_t H2Session::go_away(H2Code code) {
  const int32_t last = nghttp2_session_get_last_proc_stream_id(session_.get());
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, last, static_cast<uint32_t>(code),
                        nullptr, 0);
  return last;
}

void H2Session::terminate(H2Code code) {
  nghttp2_session_terminate_session(session_.get(), static_cast<uint32_t>(code));
}

bool H2Session::ids_nearly_used() const { return last_id_ > INT32_MAX - kSpareIds; }

void H2Session::serialise(Buffer& out, size_t full_bytes) {
  out_ = &out;
  write_frames(full_bytes);
  if (*failure_ != '\0') {  // perhaps only seen while frames were written: the last word
    terminate(failure_code_);
    write_frames(std::max(full_bytes, out.size() + kFeedBytes));
  }
  out_ = nullptr;
}

void H2Session::write_frames(size_t full_bytes) {
  out_full_ = full_bytes;
  while (out_->size() < full_bytes) {
    const uint8_t* frames = nullptr;
    const ssize_t length = nghttp2_session_mem_send(session_.get(), &frames);
    if (length < 0) fail(H2Code::kInternalError, "session");
    if (length <= 0) return;
    out_->append({reinterpret_cast<const char*>(frames), static_cast<size_t>(length)});
  }
}

bool H2Session::wants_write() const { return nghttp2_session_want_write(session_.get()) != 0; }

bool H2Session::done() const {
  return nghttp2_session_want_read(session_.get()) == 0 &&
         nghttp2_session_want_write(session_.get()) == 0;
}

void H2Session::fail(H2Code code, const char* reason) {
  if (*failure_ != '\0') return;
  failure_ = reason;
  failure_code_ = code;
}

bool H2Session::take(H2Flood kind) {
  if ((role_ == Role::kClient && kind == H2Flood::kReset) || floods_.take(kind, now_ms_))
    return true;
  fail(H2Code::kEnhanceYourCalm, flood_word(kind));
  return false;
}

}  // namespace weir::http
