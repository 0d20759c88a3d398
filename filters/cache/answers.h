// The process's store for those who know the cache by proxy/answer_store.h only.
#pragma once

#include "filters/cache/store.h"
#include "proxy/answer_store.h"

namespace weir::filters::cache {

// Any thread. Its methods REQUIRE that configure_store() has been called.
proxy::AnswerStore& answers();

}  // namespace weir::filters::cache
