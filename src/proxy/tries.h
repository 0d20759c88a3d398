// What an exchange keeps once one of its tries has failed, or one server's answer is not wanted
// yet.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "http/message.h"
#include "net/timer_wheel.h"
#include "upstream/tried.h"

namespace weir::proxy {

// Owner: an exchange, in its arena; made by the first that goes wrong. Thread: its worker's. The
// timer is cancelled when the exchange answers by itself or ends.
struct Tries {
  Tries(net::TimerWheel& wheel, void* owner, net::Timer::Callback callback, BlockPool& blocks)
      : timer(wheel, owner, callback), answer_body(blocks) {}

  upstream::TriedServers servers;  // that failed

  // "app1:3000 connect 0.3ms, app2:3000 503 4.0ms": tries that are over and were not the last. In
  // the arena.
  std::string_view told;
  uint32_t told_count = 0;

  // Until the next try may begin (kPick), or until the answer that is to be thrown away has to be
  // whole (kAwait).
  net::Timer timer;

  // A server's whole answer with a status that asks for another try: what the client gets if none
  // brings anything better.
  http::ResponseHead* answer = nullptr;
  http::HeaderList* answer_trailers = nullptr;
  Buffer answer_body;
  bool answer_used = false;
};

}  // namespace weir::proxy
