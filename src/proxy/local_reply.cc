// Answers that weir makes itself: errors, `respond`, `redirect`, replies of filters. They take the
// same way out as a server's answer.
#include <string>

#include "base/strings.h"
#include "http/grpc.h"
#include "http/h1_writer.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/https_redirect.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

namespace {

int status_of(const Error& error) {
  switch (error.source) {
    case Source::kClient:
      if (error.kind == ErrorKind::kTimeout) return 408;
      if (error.kind == ErrorKind::kTooLarge) return 413;
      return 400;
    case Source::kUpstream:
      if (error.kind == ErrorKind::kTimeout) return 504;
      return error.kind == ErrorKind::kNoServer ? 503 : 502;
    default: return error.kind == ErrorKind::kOverload ? 503 : 500;
  }
}

// RFC 9209 2.3: the type of a failure that this hop saw.
std::string_view proxy_status(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kConnect: return "weir; error=connection_refused";
    case ErrorKind::kTls: return "weir; error=tls_protocol_error";
    case ErrorKind::kCertificate: return "weir; error=tls_certificate_error";
    case ErrorKind::kReset: return "weir; error=connection_terminated";
    case ErrorKind::kTimeout: return "weir; error=http_response_timeout";
    case ErrorKind::kMalformed: return "weir; error=http_protocol_error";
    case ErrorKind::kTooLarge: return "weir; error=http_response_header_section_size";
    case ErrorKind::kNoServer: return "weir; error=destination_unavailable";
    case ErrorKind::kRefused:
      if (error.source == Source::kWeir) return "weir; error=http_request_denied";
      return "weir; error=proxy_internal_error";
    case ErrorKind::kOverload:
      if (error.source == Source::kUpstream) return "weir; error=connection_limit_reached";
      return "weir; error=proxy_internal_error";
    default: return "weir; error=proxy_internal_error";
  }
}

enum class Form : uint8_t { kText, kJson, kHtml };

// The first of the forms that we have among what the client lists; text when it says nothing of
// them.
Form accepted_form(const http::HeaderList& headers) {
  const http::Header* accept = headers.find(http::HeaderId::kAccept);
  if (accept == nullptr) return Form::kText;
  Form form = Form::kText;
  bool found = false;
  for_each_list_item(accept->value, [&](std::string_view item) {
    const std::string_view type = trim_ows(item.substr(0, item.find(';')));
    if (found) return;
    found = true;
    if (iequals(type, "application/json")) {
      form = Form::kJson;
    } else if (iequals(type, "text/html")) {
      form = Form::kHtml;
    } else if (!iequals(type, "text/plain")) {
      found = false;
    }
  });
  return form;
}

struct ErrorBody {
  std::string_view type;
  std::string text;
};

// The request id is safe in every form: weir made it, or a filter checked it against
// [A-Za-z0-9._-].
ErrorBody error_body(Form form, int status, std::string_view id) {
  const std::string code = std::to_string(status);
  const std::string reason(http::default_reason(status));
  const std::string request_id(id);
  switch (form) {
    case Form::kJson:
      return {"application/json", "{\"error\":{\"status\":" + code + ",\"message\":\"" + reason +
                                      "\",\"request_id\":\"" + request_id + "\"}}\n"};
    case Form::kHtml:
      return {"text/html; charset=utf-8",
              "<!doctype html><title>" + code + " " + reason + "</title><h1>" + code + " " +
                  reason + "</h1><p>Request id: <code>" + request_id + "</code></p>\n"};
    case Form::kText: break;
  }
  return {"text/plain; charset=utf-8", code + " " + reason + "\nRequest id: " + request_id + "\n"};
}

}  // namespace

// A fresh answer of our own. `body` must live as long as the exchange.
void Exchange::begin_local(int status, std::string_view body) {
  ++epoch_;
  parked_ = false;
  if (in_flight_ != nullptr) settle_attempt(false);
  stop_waiting();
  local_ = true;
  discard_body_ = true;
  held_response_.clear();
  recorder_ = nullptr;
  source_ = nullptr;
  stage_ = nullptr;
  bond_cookie_ = {};
  response_trailers_ = nullptr;
  response_ = arena_.make<http::ResponseHead>(arena_);
  response_->status = status;
  set_local_body(body);
}

void Exchange::set_local_body(std::string_view body) {
  response_->framing = http::Framing::kLength;
  response_->content_length = body.size();
  local_body_ = body;
  tell_length_to_head();
}

// The length that a GET would have had.
void Exchange::tell_length_to_head() {
  if (request_.method != http::Method::kHead || response_->framing != http::Framing::kLength)
    return;
  char digits[20];
  const size_t length = format_u64(response_->content_length, digits);
  response_->headers.set("Content-Length", arena_.copy({digits, length}));
}

Step Exchange::reply(LocalReply local, const Error& error) {
  if (error && !error_) error_ = error;
  if (is_fetch_) {  // who waits for it answers
    end(true);
    return Step::kOver;
  }
  if (grpc_ && local.status >= 400) return reply_grpc(local);
  const bool standard_body = local.body.empty() && local.status >= 400;
  const ErrorPage* page = standard_body ? error_page(local.status) : nullptr;
  std::string_view type;
  if (standard_body && page == nullptr) {
    ErrorBody made = error_body(accepted_form(request_.headers), local.status, request_id());
    local.body = std::move(made.text);
    type = made.type;
  }
  begin_local(local.status, arena_.copy(local.body));
  for (const auto& [name, value] : local.headers) {
    response_->headers.add(arena_.copy(name), arena_.copy(value));
  }
  if (page != nullptr) {
    type = page->content_type;
    set_local_body(page->body.render(*this, arena_));  // which may name the $status
  }
  if (!type.empty()) response_->headers.set("Content-Type", type);
  return Step::kResponse;
}

// Refused, unless it is an answer like any other: to a preflight, for one.
Step Exchange::reply_of_filter(LocalReply local) {
  Error error;
  if (local.status >= 400) error = local.error();
  if (local.status >= 500) local.headers.emplace_back("Proxy-Status", proxy_status(error));
  return reply(std::move(local), error);
}

// "Trailers-Only": a call is answered with 200 whatever became of it, and its head says what did.
Step Exchange::reply_grpc(const LocalReply& local) {
  begin_local(200, {});
  for (const auto& [name, value] : local.headers) {
    if (!iequals(name, "content-type"))
      response_->headers.add(arena_.copy(name), arena_.copy(value));
  }
  response_->headers.add("Content-Type", "application/grpc");
  add_grpc_status(local.status, response_->headers);
  return Step::kResponse;
}

// Nothing in the text needs grpc-message's percent-encoding.
void Exchange::add_grpc_status(int http_status, http::HeaderList& out) {
  char digits[20];
  const auto number = [&](int value) {
    return arena_.copy({digits, format_u64(static_cast<uint64_t>(value), digits)});
  };
  out.add("grpc-status", number(http::grpc_status_of(http_status)));
  out.add("grpc-message",
          arena_.concat({number(http_status), " ", http::default_reason(http_status),
                         "; request id: ", request_id()}));
}

// Even when the answer is on its way: its trailers are yet to come. False: there are none.
bool Exchange::end_grpc(const Error& error) {
  if (!grpc_ || !committed_ || local_ || framing_.framing != http::Framing::kChunked) return false;
  if (in_flight_ != nullptr) settle_attempt(false);
  response_trailers_ = arena_.make<http::HeaderList>(arena_);
  add_grpc_status(status_of(error), *response_trailers_);
  response_done_ = true;
  discard_body_ = true;
  advance();
  return true;
}

// Of the route or, where no route took the request, of the site.
const ErrorPage* Exchange::error_page(int status) const {
  const ErrorPages* pages = route_ != nullptr  ? route_->error_pages.get()
                            : site_ != nullptr ? site_->error_pages.get()
                                               : nullptr;
  return pages == nullptr ? nullptr : pages->find(status);
}

Step Exchange::reply_error(int status, const Error& error) {
  if (has_spare_answer() && error.source == Source::kUpstream) {
    if (!error_) error_ = error;
    return use_spare_answer();
  }
  LocalReply local = {status, {}, {}, error.detail};
  local.headers.emplace_back("Cache-Control", "no-store");
  if (status == 503) local.headers.emplace_back("Retry-After", "1");
  if (status >= 500) local.headers.emplace_back("Proxy-Status", proxy_status(error));
  return reply(std::move(local), error);
}

// Something failed while the exchange was under way: an answer if the head has not left, else a
// cut.
void Exchange::fail(const Error& error) {
  if (over()) return;
  if (!error_) error_ = error;
  if (end_grpc(error)) return;
  if (committed_ || local_) {
    end(true);
    return;
  }
  step_ = reply_error(status_of(error), error);
  advance();
}

Step Exchange::respond() {
  begin_local(route_->status, {});
  set_local_body(route_->body.render(*this, arena_));  // which may name the $status
  for (const auto& [name, value] : route_->respond_headers) {
    response_->headers.set(name, value.render(*this, arena_));
  }
  if (!local_body_.empty() && response_->headers.find(http::HeaderId::kContentType) == nullptr) {
    response_->headers.add("Content-Type", "text/plain; charset=utf-8");
  }
  return Step::kResponse;
}

Step Exchange::redirect() {
  std::string_view to = route_->redirect_to.render(*this, arena_);
  // "//" and "/\\" would lead to a host of the client's choice, unless the route says so itself.
  const auto leaves_host = [&to] {
    return to.size() > 1 && to[0] == '/' && (to[1] == '/' || to[1] == '\\');
  };
  if (!route_->redirect_to.begins_with("//")) {
    while (leaves_host()) {
      to.remove_prefix(1);
      if (to[0] == '\\') to = arena_.concat({"/", to.substr(1)});
    }
  }
  begin_local(route_->status, {});
  response_->headers.add("Location", to);
  return Step::kResponse;
}

// A trusted proxy may say that its client came by https: then there is nothing to redirect.
bool Exchange::must_go_to_https() const {
  return pinned_->snapshot->listeners[listener_].redirect_https && scheme() != "https" &&
         !is_exempt_from_https(route_, path_);
}

Step Exchange::redirect_to_https() {
  const std::string_view to = https_location(*site_, request_, arena_);
  if (to.empty()) {
    return reply_error(421,
                       {Source::kClient, ErrorKind::kRefused, Retry::kNever, "no host to go to"});
  }
  begin_local(https_redirect_status(request_.method), {});
  response_->headers.add("Location", to);
  return Step::kResponse;
}

Step Exchange::refuse_method(http::MethodSet allowed) {
  LocalReply refused = {405, {{"Allow", http::method_list(allowed)}}, {}, ""};
  return reply(std::move(refused),
               {Source::kClient, ErrorKind::kRefused, Retry::kNever, "method not allowed"});
}

// OPTIONS * and a Max-Forwards of 0 ask this hop, not the application (RFC 9110 9.3.7).
Step Exchange::answer_options(http::MethodSet allowed) {
  begin_local(200, {});
  response_->headers.add("Allow", arena_.copy(http::method_list(allowed)));
  return Step::kResponse;
}

}  // namespace weir::proxy
