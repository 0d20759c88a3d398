// Which header fields a configuration may name, and with which values.
#pragma once

#include <string>
#include <string_view>

#include "base/options.h"
#include "proxy/regex.h"
#include "proxy/template.h"

namespace weir::filters {

// A name for a message. `at` is its own scalar, which may be a secret, or the value that it is the
// key of.
std::string shown_name(const options::Node& at, std::string_view name);

// Reports, at `at`, a name that is no token, or that belongs to one hop or to the framing: those
// weir writes itself, and a configured one would break the message (RFC 9110 7.6.1, RFC 9112 6).
// True when the name is fine.
bool check_header_name(const options::Node& at, std::string_view name, options::Problems& problems);

// The same, of a field that weir fills with something of its own: also reports those that tell
// servers of the client (X-Forwarded-For and the like).
bool check_filled_header_name(const options::Node& at, std::string_view name,
                              options::Problems& problems);

// What a client proves itself by (Authorization, Cookie): elsewhere on the site that may well be
// for the servers.
bool is_proof(std::string_view name);

// The same as check_filled_header_name(), of a field that no client may send on the whole site:
// also reports those that clients prove themselves by.
bool check_own_header_name(const options::Node& at, std::string_view name,
                           options::Problems& problems);

// Text with $variables and captures. `pattern` is what \1 are groups of; null: the path_regex of
// the route around `value`.
bool read_template(const options::Node& value, options::Problems& problems, proxy::Template& out,
                   const proxy::Regex* pattern = nullptr);

// A header value: text with $variables and captures, and without control characters.
bool read_header_value(const options::Node& value, options::Problems& problems,
                       proxy::Template& out);

}  // namespace weir::filters
