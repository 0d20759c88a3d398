// Who may ask the admin listener for what, by a request's head alone. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "http/message.h"
#include "proxy/filter.h"

namespace weir::admin {

struct PageAccess {
  bool open = false;   // without the token: for probes, which hold none
  bool posts = false;  // POST does something; else GET and HEAD only
  // Under any Host, also without a token: for scrapers, which use names; and for all pages of a
  // unix socket, which no browser reaches.
  bool any_name = false;
  bool takes_body = false;  // with posts
};

// Nothing: the request may have the page. Otherwise what it gets instead:
//   401  a token is set (not empty), and the request does not bear it (RFC 6750 2.1)
//   405  another method than the page has, with Allow
//   403  a POST that a browser sent for a page of somebody else: Sec-Fetch-Site names another site,
//        or Origin is not where the request went.
//   403  without a token, and not for a page with any_name: Host is neither an address nor
//        "localhost" or below it. Any other name may have been pointed here by its owner, whose
//        pages could then read this one (DNS rebinding); a token is what they cannot have.
//   400  a POST with a body for a page that reads none: a form is no command
std::optional<proxy::LocalReply> refusal_of(const http::RequestHead& request,
                                            const PageAccess& access, std::string_view token);

}  // namespace weir::admin
