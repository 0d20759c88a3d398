// auth.basic: a user and a password (RFC 7617), held against a file of hashes.
//
//   basic:
//     users_file: users.htpasswd  # beside the file that names it; read again at a reload
//     realm: Staff                # what browsers show
//     user_header: X-User         # tells servers who it is; what a client sends in it is removed
//     strip: true                 # servers do not see the password
//
// Hashing takes tens of milliseconds and is done by net::helpers(); while as much as they can do
// waits, others are answered 503. What was right is known for a minute.
#pragma once

#include "filters/registry.h"

namespace weir::filters::auth {

SettingsPtr basic_read(const options::Node& value, const Reading& reading);

}  // namespace weir::filters::auth
