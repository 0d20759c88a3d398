#include "net/resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace weir::net {

namespace {

bool before(const SocketAddress& a, const SocketAddress& b) {
  if (a.length != b.length) return a.length < b.length;
  return std::memcmp(&a.any, &b.any, a.length) < 0;
}

SocketAddress address_of(const ares_addrinfo_node& node) {
  SocketAddress address;
  if (node.ai_family == AF_INET && node.ai_addrlen >= sizeof(sockaddr_in)) {
    address.v4.sin_family = AF_INET;
    address.v4.sin_addr = reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr;
    address.length = sizeof(address.v4);
  } else if (node.ai_family == AF_INET6 && node.ai_addrlen >= sizeof(sockaddr_in6)) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_addr = reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr;
    address.length = sizeof(address.v6);
  }
  return address;
}

NameAnswer to_answer(int status, const ares_addrinfo* found) {
  NameAnswer answer;
  if (status != ARES_SUCCESS) {
    answer.error = ares_strerror(status);
    return answer;
  }
  int ttl_s = INT32_MAX;
  for (const ares_addrinfo_cname* at = found->cnames; at != nullptr; at = at->next) {
    ttl_s = std::min(ttl_s, at->ttl);
  }
  for (const ares_addrinfo_node* at = found->nodes; at != nullptr; at = at->ai_next) {
    const SocketAddress address = address_of(*at);
    if (address.length == 0) continue;
    answer.addresses.push_back(address);
    ttl_s = std::min(ttl_s, at->ai_ttl);
  }
  std::vector<SocketAddress>& addresses = answer.addresses;
  std::sort(addresses.begin(), addresses.end(), before);
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > limits::kAddressesPerName) addresses.resize(limits::kAddressesPerName);
  if (addresses.empty()) answer.error = "no address";
  if (ttl_s > 0) answer.ttl_ms = static_cast<uint64_t>(ttl_s) * 1000;
  return answer;
}

}  // namespace

struct Resolver::Channel {
  struct Question {
    Channel& channel;
    Done done;
  };
  struct SrvQuestion {
    Channel& channel;
    SrvDone done;
  };

  ~Channel() {
    closing = true;
    if (ares != nullptr) ares_destroy(ares);  // calls back for what is under way
  }

  // The text of why not, or empty.
  std::string open(const std::string& servers) {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return ares_strerror(library);
    ares_options options = {};
    options.sock_state_cb = on_socket;
    options.sock_state_cb_data = this;
    int status = ares_init_options(&ares, &options, ARES_OPT_SOCK_STATE_CB);
    if (status != ARES_SUCCESS) {
      ares = nullptr;
      return ares_strerror(status);
    }
    if (servers.empty()) return {};
    status = ares_set_servers_ports_csv(ares, servers.c_str());
    return status == ARES_SUCCESS ? "" : "\"" + servers + "\" is no list of name servers";
  }

  static void on_socket(void* data, ares_socket_t fd, int readable, int writable) {
    auto* self = static_cast<Channel*>(data);
    if (readable == 0 && writable == 0) {
      self->sockets.erase(fd);
      return;
    }
    self->sockets[fd] =
        static_cast<short>((readable != 0 ? POLLIN : 0) | (writable != 0 ? POLLOUT : 0));
  }

  static void on_answer(void* data, int status, int, ares_addrinfo* found) {
    const std::unique_ptr<Question> question(static_cast<Question*>(data));
    NameAnswer answer = to_answer(status, found);
    if (found != nullptr) ares_freeaddrinfo(found);
    --question->channel.under_way;
    if (!question->channel.closing) question->done(std::move(answer));
  }

  static void on_srv(void* data, int status, int, unsigned char* message, int bytes) {
    const std::unique_ptr<SrvQuestion> question(static_cast<SrvQuestion*>(data));
    --question->channel.under_way;
    if (question->channel.closing) return;
    if (status != ARES_SUCCESS) {
      question->done({{}, 0, ares_strerror(status)});
    } else {
      question->done(parse_srv_answer({message, static_cast<size_t>(bytes)}));
    }
  }

  ares_channel ares = nullptr;
  std::unordered_map<ares_socket_t, short> sockets;  // with the poll events that they wait for
  size_t under_way = 0;
  bool closing = false;
};

const char* resolver_version() { return ares_version(nullptr); }

Resolver::Resolver(std::string servers) : servers_(std::move(servers)) {}

Resolver::~Resolver() = default;

size_t Resolver::under_way() const { return channel_ == nullptr ? 0 : channel_->under_way; }

// The text of why not, or empty.
std::string Resolver::open_channel() {
  if (channel_ != nullptr) return {};
  channel_ = std::make_unique<Channel>();
  std::string failure = channel_->open(servers_);
  if (!failure.empty()) channel_.reset();
  return failure;
}

void Resolver::look_up(const std::string& host, Done done) {
  // RFC 6761 6.3: no name server is asked, and a machine without /etc/hosts knows it as well.
  if (host == "localhost") {
    done({{parse_address("127.0.0.1:0").value(), parse_address("[::1]:0").value()}, 0, {}});
    return;
  }
  if (std::string failure = open_channel(); !failure.empty()) {
    done({{}, 0, std::move(failure)});
    return;
  }
  ++channel_->under_way;
  ares_addrinfo_hints hints = {};
  hints.ai_flags = ARES_AI_NOSORT;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  auto* question = new Channel::Question{*channel_, std::move(done)};
  ares_getaddrinfo(channel_->ares, host.c_str(), nullptr, &hints, Channel::on_answer, question);
}

void Resolver::look_up_srv(const std::string& name, SrvDone done) {
  if (std::string failure = open_channel(); !failure.empty()) {
    done({{}, 0, std::move(failure)});
    return;
  }
  ++channel_->under_way;
  auto* question = new Channel::SrvQuestion{*channel_, std::move(done)};
  ares_query(channel_->ares, name.c_str(), ns_c_in, ns_t_srv, Channel::on_srv, question);
}

void Resolver::wait(int wake_fd, int wait_ms) {
  std::vector<pollfd> waits = {{wake_fd, POLLIN, 0}};
  if (under_way() > 0) {
    for (const auto& [fd, events] : channel_->sockets) waits.push_back({fd, events, 0});
    timeval at_most = {wait_ms / 1000, (wait_ms % 1000) * 1000};
    timeval left = {};
    const timeval* until = ares_timeout(channel_->ares, wait_ms < 0 ? nullptr : &at_most, &left);
    if (until != nullptr) {  // rounded up: a wait of 0 ms until it is due would spin
      wait_ms = static_cast<int>(until->tv_sec * 1000 + (until->tv_usec + 999) / 1000);
    }
  }
  poll(waits.data(), waits.size(), wait_ms);
  if (channel_ == nullptr) return;
  for (size_t i = 1; i < waits.size(); ++i) {
    const short events = waits[i].revents;
    if (events == 0) continue;
    const bool writable = (events & POLLOUT) != 0;
    const bool readable = (events & ~POLLOUT) != 0;
    ares_process_fd(channel_->ares, readable ? waits[i].fd : ARES_SOCKET_BAD,
                    writable ? waits[i].fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel_->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what is over time
  if (channel_->under_way == 0) channel_.reset();
}

}  // namespace weir::net
