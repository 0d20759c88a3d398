// A key begins anew because an operator says so.
#pragma once

#include <memory>

#include "filters/rate_limit/limit.h"
#include "proxy/limit_book.h"

namespace weir::filters::rate_limit {

// Null: there are none. REQUIRES bound limits.
std::shared_ptr<const proxy::LimitBook> make_book(const Limits& limits);

}  // namespace weir::filters::rate_limit
