// One byte stream: a TCP or unix socket on libuv. The only owner of its handle. Small writes are
// collected and leave with the loop iteration's flush; large ones go out at once, straight from the
// caller's memory, and only what the socket did not take is copied.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/buffer.h"
#include "base/intrusive_list.h"
#include "net/address.h"
#include "net/mortal.h"

namespace weir::net {

class Tls;
class TlsClient;
class TlsServer;
class TlsTicket;
struct TlsSide;

// Owner: a Connection or an upstream Conn, by unique_ptr. Thread: its worker's. Ends with end():
// the owner moves it to the graves; it is deleted after libuv's close callback.
class Stream final : public Mortal {
 public:
  // What a stream tells its owner; never from inside one of the stream's own methods, and never
  // after end(). Views are valid during the call only (rule L8).
  class Owner {
   public:
    virtual void on_connected() {}  // with TLS: the handshake is done
    virtual void on_bytes(std::string_view bytes) = 0;
    virtual void on_eof() = 0;
    virtual void on_broken(int uv_error) = 0;  // connect, read or write failed; nothing more comes
    virtual void on_congested() {}             // the iteration's flush has left it so
    virtual void on_drained() = 0;             // a congested stream has sent all it held
    // Asked for by fill_before_flush(): this iteration's flush is due, fill out() now.
    virtual void on_flush_due() {}

   protected:
    ~Owner() = default;
  };

  // Up to this much of queued bytes waits for the iteration's flush; above it they go at once.
  static constexpr size_t kCoalesceBytes = 16 * 1024;
  static constexpr uint32_t kReadMinBytes = 16 * 1024;
  // A read brings no more than this part of what is left of the budget: so many slow peers at once,
  // each with a full read behind it, use less than two thirds of it.
  static constexpr size_t kReadsInBudget = 1024;

  // Takes over a connected socket (non-blocking, close-on-exec). Null when libuv refuses it: the
  // descriptor is closed then. Has no owner until hand_to().
  static std::unique_ptr<Stream> accepted(Worker& worker, int fd, bool is_unix);
  // Starts to connect; on_connected() or on_broken() follows in a later turn.
  static std::unique_ptr<Stream> dial(Worker& worker, Owner& owner, const SocketAddress& to);
  ~Stream() override;

  // Tells `owner` from now on.
  void hand_to(Owner& owner) { owner_ = &owner; }

  // TLS from here on: the owner goes on seeing plaintext. A handshake that fails is told as
  // UV_EPROTO, and tls()->failure() says why.
  // As the server, on an accepted stream, which then reads. `early`: what has been read already.
  // A client that ends without a close_notify is told as on_eof().
  void start_tls(std::shared_ptr<const TlsServer> server, std::string_view early);
  // As the client, right after dial(): the handshake follows the connect. `server_name` is whom the
  // certificate must name; `ticket` may be null. An end without a close_notify is told as
  // on_broken(UV_ECONNRESET).
  void start_tls(const TlsClient& client, const std::string& server_name,
                 std::shared_ptr<TlsTicket> ticket);
  // Null in the clear, and before a server's handshake has begun.
  const Tls* tls() const;
  // After start_tls() and before on_connected(): what is written here leaves in the clear, before
  // the handshake (a PROXY header).
  Buffer& before_tls();

  // TCP: a peer that is gone without a word is noticed: bytes that it does not acknowledge within
  // that time break the stream (TCP_USER_TIMEOUT; so does a peer that takes nothing for as long),
  // and a silent one is probed (keepalive). 0: the system's own time, and who takes nothing may.
  void detect_dead_peer(uint64_t unacknowledged_ms);

  // The socket's two ends; no address when it is not connected (any more). A system call each.
  SocketAddress peer_address() const;
  SocketAddress local_address() const;

  void start_reading();
  void stop_reading();
  bool reading() const { return reading_; }
  // The peer of these bytes is slow: read in smaller pieces from now on.
  void read_less() { read_size_ = kReadMinBytes; }

  // Queue for this iteration's flush: write to out(), then call flush_soon().
  Buffer& out() { return out_; }
  void flush_soon();
  // When a write fails, what had come before is told by on_bytes() before on_broken(), as long as
  // the owner reads: a peer may answer early and close.
  void hear_out_when_broken() { hears_out_ = true; }
  // The owner writes when the flush comes, once for all that happened in the iteration.
  void fill_before_flush() { owner_fills_ = true; }
  // Queues little, sends much at once together with what is queued. At most kWriteSpans pieces.
  static constexpr size_t kWriteSpans = 8;
  void write(std::span<const std::string_view> pieces);
  void write(std::string_view bytes) { write({&bytes, 1}); }
  // The same, for who can keep the rest: returns how much is done with. Less than all of it is so
  // only where the socket is full: on_drained() follows.
  size_t offer(std::span<const std::string_view> pieces);
  void flush();
  // What is queued and was not offered to the socket yet is not to leave.
  void drop_queued() { out_.clear(); }
  // Sends of a file without a copy, behind what is queued, and returns how many bytes the socket
  // took. Less: it is full (a write() waits for it), broken, or the file is shorter. In the clear
  // only, and not while congested: 0 then. May wait for the disk. REQUIRES: SIGPIPE is ignored.
  size_t send_file(int file, uint64_t offset_bytes, size_t bytes);
  // The socket did not take everything: pause whoever feeds this stream until on_drained().
  bool congested() const { return write_op_ != nullptr; }
  size_t unsent() const;
  // Bytes that the socket has taken so far.
  uint64_t sent_bytes() const;
  // Of these, what the peer's host has acknowledged. A system call: for timers.
  uint64_t delivered_bytes() const;

  // Half-close after everything queued has left.
  void shutdown_when_flushed();
  // Stops everything; what was queued and not yet taken is lost. Idempotent. `reset`: the peer
  // shall see an abort (RST), for bodies whose end is the end of the connection.
  void end(bool reset = false);
  bool over() const { return over_; }

 private:
  friend class TlsDesk;
  friend class Worker;
  struct WriteOp;
  struct ConnectOp;

  Stream(Worker& worker, bool is_unix);
  int fd() const;  // -1: not connected
  uv_stream_t* handle() { return reinterpret_cast<uv_stream_t*>(&handle_); }
  void break_later(int uv_error);
  void tell_broken();
  void take(std::string_view bytes);
  void on_readable();
  ssize_t receive(uint32_t bytes);
  size_t try_write(const std::string_view* spans, size_t count, int flags = 0);
  void not_taken(int error);
  size_t write_now(std::span<const std::string_view> pieces, size_t kept_bytes);
  void queue_write(Buffer&& bytes);
  void on_flush();  // by the worker, once per iteration when dirty
  void shutdown_now();

  // stream_tls.cc
  void wait_for_handshake_time(std::string_view bytes);
  void on_handshake_time();  // by the worker's TlsDesk
  bool shake_hands(std::string_view& bytes);
  void on_ciphertext(std::string_view bytes);
  void on_records(std::string_view bytes);
  void break_tls();
  int truncation();
  std::string_view next_plaintext(std::string_view more);
  size_t fill_records(char* cipher, std::string_view& more);
  void flush_tls(std::string_view more);

  static void alloc_trampoline(uv_handle_t* handle, size_t, uv_buf_t* out) noexcept;
  static void read_trampoline(uv_stream_t* handle, ssize_t count, const uv_buf_t*) noexcept;
  static void write_trampoline(uv_write_t* request, int status) noexcept;
  static void connect_trampoline(uv_connect_t* request, int status) noexcept;
  static void close_trampoline(uv_handle_t* handle) noexcept;

  Worker& worker_;
  Owner* owner_ = nullptr;
  union {
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } handle_;
  Buffer out_;
  std::unique_ptr<WriteOp> write_op_;  // bytes that libuv holds for a full socket
  std::unique_ptr<TlsSide> tls_;       // null in the clear
  ListHook dirty_;
  uint64_t taken_bytes_ = 0;  // by the socket, without what a WriteOp in flight has sent
  uint32_t read_size_ = kReadMinBytes;
  int broken_ = 0;  // uv error that the owner has yet to be told of
  bool is_unix_;
  bool over_ = false;
  bool reading_ = false;
  bool connecting_ = false;
  bool shutdown_wanted_ = false;
  bool owner_fills_ = false;
  bool hears_out_ = false;
  bool rest_due_ = false;  // what came before a write failed is to be read
};

}  // namespace weir::net
