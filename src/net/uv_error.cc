#include "net/uv_error.h"

#include <uv.h>

namespace weir::net {

const char* error_name(int uv_error) { return uv_err_name(uv_error); }

bool is_out_of_descriptors(int uv_error) { return uv_error == UV_EMFILE || uv_error == UV_ENFILE; }

const char* loop_version() { return uv_version_string(); }

}  // namespace weir::net
