// What a server is told: the request's head with what weir adds, and who its client is.
#include "base/strings.h"
#include "http/h1_writer.h"
#include "proxy/exchange.h"

namespace weir::proxy {

// The client is who everything else takes for it; where that is not who connected, nobody knows its
// port.
void Exchange::write_preface(Buffer& out) {
  char header[http::kProxyHeaderOutBytes];
  out.append({header, format_preface(*cluster_->transport, header)});
}

// Into kProxyHeaderOutBytes; 0: nothing is said.
size_t Exchange::format_preface(const upstream::Transport& transport, char* out) {
  if (transport.proxy_protocol == http::ProxyVersion::kNone) return 0;
  http::ConnectionEnds ends = client_.ends();
  if (ends.source != identity_.client) {
    ends.source = identity_.client;
    ends.source_port = 0;
  }
  return http::format_proxy_header(transport.proxy_protocol, ends, out);
}

void Exchange::write_upstream_head(upstream::ServerSide& conn, const upstream::Server& server) {
  http::RequestHead* head = &request_;
  if (traits_.attempt_edits ||
      !rewritten_.target.empty()) {  // edits are of a copy of this try's own
    head = arena_.make<http::RequestHead>(arena_);
    head->copy_from(request_);
    if (!rewritten_.target.empty()) {
      head->target = rewritten_.target;
      head->path = rewritten_.path;
      head->query = rewritten_.query;
    }
    edit_attempt(*head, server);
  }
  const std::string_view proto = scheme();
  std::string_view peer = client_ip();
  if (identity_.client != client_.peer()) {
    char text[46];
    peer = arena_.copy({text, client_.peer().format(text)});
  }
  std::string_view forwarded_for = peer;
  if (!identity_.forwarded_for.empty()) {
    forwarded_for = arena_.concat({identity_.forwarded_for, ", ", peer});
  }
  http::ExtraField extras[8];
  size_t count = 0;
  const auto tell = [&](http::HeaderId id, std::string_view name, std::string_view value) {
    if ((taken_over_ & http::bit(id)) == 0) extras[count++] = {name, value};
  };
  tell(http::HeaderId::kXForwardedFor, "X-Forwarded-For", forwarded_for);
  tell(http::HeaderId::kXForwardedProto, "X-Forwarded-Proto", proto);
  const std::string_view host =
      identity_.forwarded_host.empty() ? request_.authority : identity_.forwarded_host;
  if (!host.empty()) tell(http::HeaderId::kXForwardedHost, "X-Forwarded-Host", host);
  tell(http::HeaderId::kXRealIp, "X-Real-IP", client_ip());
  if (identity_.forwarded_believed &&
      request_.headers.find(http::HeaderId::kForwarded) != nullptr) {
    tell(http::HeaderId::kForwarded, "Forwarded", forwarded_element(peer, proto));
  }
  extras[count++] = {"Via", http::via_of(request_.version)};
  // A client's own values never go on (HD-17 to HD-20), but for the port that a trusted one knows.
  uint64_t skip = http::kForwardingMask & ~taken_over_;
  if (identity_.peer_trusted) skip &= ~http::bit(http::HeaderId::kXForwardedPort);
  if (const http::Header* hops = request_.headers.find(http::HeaderId::kMaxForwards);
      hops != nullptr && request_.method == http::Method::kOptions) {
    uint64_t left = 0;
    if (parse_u64(hops->value, left) && left > 0) {
      char digits[20];
      extras[count++] = {"Max-Forwards", arena_.copy({digits, format_u64(left - 1, digits)})};
      skip |= http::bit(http::HeaderId::kMaxForwards);
    }
  }
  const upstream::OutgoingHead sent = {*head, skip, extras, count};
  conn.send_head(sent);
  if (route_->mirror != nullptr && may_mirror_) begin_shadow(sent);
}

void Exchange::edit_attempt(http::RequestHead& head, const upstream::Server& server) {
  FilterContext context(*this);
  for (uint32_t i = 0; i < filters_count_; ++i) filters_[i]->on_attempt(context, server, head);
}

// RFC 7239: what trusted proxies wrote, and our own element behind it.
std::string_view Exchange::forwarded_element(std::string_view peer, std::string_view proto) {
  std::string_view before;
  for (const http::Header& header : request_.headers) {
    if (header.id != http::HeaderId::kForwarded || header.value.empty()) continue;
    before = before.empty() ? header.value : arena_.concat({before, ", ", header.value});
  }
  const bool v6 = !client_.peer().v4;
  return arena_.concat({before, before.empty() ? "" : ", ", v6 ? "for=\"[" : "for=", peer,
                        v6 ? "]\"" : "", ";proto=", proto});
}

}  // namespace weir::proxy
