// What nghttp2 calls back: every function only notes what it was told, in the session's list of
// events (rule L6), or copies what the owner queued before.
#pragma once

#include <nghttp2/nghttp2.h>

#include "http/h2_session.h"

namespace weir::http {

struct H2Callbacks {
  static const nghttp2_session_callbacks* table();  // made once, never freed
  static nghttp2_data_provider body_of(H2Stream& stream);

 private:
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) noexcept;
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept;
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_length, const uint8_t* value, size_t value_length, uint8_t flags,
                       void* user) noexcept;
  static int on_frame(nghttp2_session* raw, const nghttp2_frame* frame, void* user) noexcept;
  static void on_head(nghttp2_session* raw, const nghttp2_frame& frame, H2Session& session);
  static int on_data(nghttp2_session* raw, uint8_t flags, int32_t id, const uint8_t* data,
                     size_t length, void* user) noexcept;
  static int on_close(nghttp2_session* raw, int32_t id, uint32_t code, void* user) noexcept;
  static int on_sent(nghttp2_session* raw, const nghttp2_frame* frame, void* user) noexcept;
  static int on_not_sent(nghttp2_session* raw, const nghttp2_frame* frame, int error,
                         void* user) noexcept;
  static ssize_t read_body(nghttp2_session* raw, int32_t id, uint8_t* to, size_t length,
                           uint32_t* flags, nghttp2_data_source* source, void* user) noexcept;
  static int send_body(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t length,
                       nghttp2_data_source* source, void* user) noexcept;
};

nghttp2_nv h2_field(std::string_view name, std::string_view value, bool indexed);
// Fields as nghttp2 takes them; it copies them and lower-cases their names. One set per thread: it
// is filled and submitted within one call.
std::vector<nghttp2_nv>& h2_field_scratch();

}  // namespace weir::http
