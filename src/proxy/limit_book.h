// Rate limits as those see them who may not know them: the admin pages. The limits are
// filters/rate_limit; a snapshot that has some says where they are.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/error.h"

namespace weir::proxy {

class ProxyWorker;

// Of one snapshot. Immutable; any thread.
class LimitBook {
 public:
  virtual ~LimitBook() = default;

  enum class Reset : uint8_t {
    kUnderWay,
    kDone,
    kMissed,  // done in this process, but Redis was not reached
  };
  using ResetState = std::shared_ptr<std::atomic<Reset>>;
  // Runs what it gets on a worker that serves clients. False: they are ending.
  using Post = std::function<bool(std::function<void(ProxyWorker&)>)>;

  virtual bool has(std::string_view limit) const = 0;
  // Forgets all that a key has used, and a block. `key`: as `weir explain` shows it. Fails with
  // what is wrong with that. REQUIRES has(limit).
  virtual Result<ResetState> reset(std::string_view limit, std::string_view key,
                                   const Post& post) const = 0;
};

}  // namespace weir::proxy
