// The filter of a route with `compression`.
#pragma once

#include <memory>

#include "filters/compression/options.h"
#include "proxy/filter.h"

namespace weir::filters::compression {

std::unique_ptr<proxy::FilterFactory> make_factory(std::shared_ptr<const Options> options);

}  // namespace weir::filters::compression
