// The process's store for those who know the cache by proxy/answer_store.h only.
#pragma once

#include "filters/cache/store.h"
#include "proxy/answer_store.h"

namespace weir::filters::cache {

// Of configure_store()'s store, which REQUIRES to have been called. Any thread.
proxy::AnswerStore& answers();

}  // namespace weir::filters::cache
