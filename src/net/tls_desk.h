// What the TLS streams of one worker share: scratch memory, and the time for handshakes, of which
// an iteration of the loop gives only so much: a flood of new clients must not starve those that
// are connected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/blocks.h"
#include "base/intrusive_list.h"
#include "net/tls.h"

namespace weir::net {

class Stream;

// The TLS of one stream and what that keeps of it. Owner: the stream.
struct TlsSide {
  TlsSide(Stream& of, std::shared_ptr<const TlsServer> of_server)
      : stream(of), server(std::move(of_server)) {}
  explicit TlsSide(Stream& of) : stream(of) {}

  Stream& stream;
  std::optional<Tls> tls;  // of a server, once there is time for the handshake: it is not cheap
  std::shared_ptr<const TlsServer> server;  // until then; of a client, null
  ListHook waiting;                         // for time to go on with the handshake
  BudgetedText held;                        // what came meanwhile
  bool is_client = false;
  bool close_wanted = false;  // a close_notify behind what is queued
  bool peer_gone = false;     // has closed its socket without one: it waits for none

  bool open() const { return tls && tls->open(); }
};

// Owner: the Worker. Memory is taken at first use.
class TlsDesk {
 public:
  // Room for what one read may decrypt to. Valid until the next read of any stream.
  char* plain();
  static constexpr size_t kPlainBytes = 512 * 1024 + Tls::kRecordBytes;
  // One record's plaintext, put together from pieces.
  char* gather();
  // Records on their way to a socket. Empty between calls.
  char* cipher();
  static constexpr size_t kCipherBytes = 4 * (Tls::kRecordBytes + Tls::kOverheadBytes);

  // Whether an iteration has anything to settle.
  bool used() const { return spent_us_ != 0 || !waiting_.empty(); }
  bool may_shake_hands() const { return waiting_.empty() && !time_is_over(); }
  void spend_us(uint64_t us) { spent_us_ += us; }
  void wait(TlsSide& side) {
    if (!side.waiting.linked()) waiting_.push_back(side);
  }
  // Once per iteration: handshakes that waited go on, in order, as far as the time goes. True when
  // some still wait.
  bool next_iteration();

 private:
  bool time_is_over() const;

  std::unique_ptr<char[]> plain_;
  std::unique_ptr<char[]> gather_;
  std::unique_ptr<char[]> cipher_;
  IntrusiveList<TlsSide, &TlsSide::waiting> waiting_;
  uint64_t spent_us_ = 0;
};

}  // namespace weir::net
