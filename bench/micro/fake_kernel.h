// A kernel that costs nothing: two of the worker's sockets are played, so that what is left to
// measure is weir and libuv. The functions below stand in the way of libc's read(), write(),
// writev() and epoll_wait(); whatever is not about the played sockets goes to the real kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace weir::micro {

// From now on `client` (the worker's end) is readable whenever its last answer has been written,
// and reads as `request`; a write of it to `server` makes that readable as `answer`. Every write is
// taken whole. `server` < 0: weir answers by itself. One request is under way at a time.
void start_playing(int client, std::string request, int server, std::string answer);
// From now on the eight bytes at `offset` of each request are one of so many numbers, all of which
// come in turn, in an order that no prefetcher knows.
void vary_request(size_t offset, uint32_t numbers);
// The sockets are real again; nothing may be under way.
void stop_playing();

struct Played {
  uint64_t answers = 0;       // that left for the client
  uint64_t client_bytes = 0;  // written to it
  uint64_t server_bytes = 0;  // written to the server
};
const Played& played();

}  // namespace weir::micro
