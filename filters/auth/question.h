// What auth.forward asks its server about a request. Pure: heads in, a head out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace weir::filters::auth {

using Names = std::vector<std::string>;  // of fields

bool are_named(const Names& names, std::string_view name);
// The same, and what a backend may take for one of them.
bool are_alike(const Names& names, std::string_view name);

// As configured. Immutable; any thread.
struct Question {
  std::string target;                    // "/verify?a=b"
  std::string host;                      // empty: the client's
  std::optional<Names> request_headers;  // nothing: all

  // Into `out`, an empty GET: text of `request`, of this, and of out's arena. Its fields: those of
  // the client's that may go along, and what tells of the request. Of `not_clients`, which weir
  // says and not the client, those that are asked for by name.
  void ask(const http::RequestHead& request, std::string_view scheme, const Names& not_clients,
           http::RequestHead& out) const;

 private:
  bool goes_along(const http::Header& field, const Names& not_clients) const;
};

}  // namespace weir::filters::auth
