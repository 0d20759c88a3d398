// The JSON of /status: the whole running state for people, scripts and `weir status`.
#pragma once

#include <string>

#include "proxy/status_source.h"

namespace weir::admin {

std::string status_json(proxy::StatusSource& source);

}  // namespace weir::admin
