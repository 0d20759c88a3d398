// Who the process runs as. Started as root it becomes `user` once its sockets are bound, and keeps
// one capability: to bind low ports at a later reload. Main thread, before any other is started.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace weir {

// Empty: done, or nothing to do (a warning says so where the process is not root). Else why not.
std::string become(const std::string& user);

// Makes `user` the owner of a unix socket that root has made: it could neither serve its own
// commands nor replace the socket otherwise. Does nothing unless the process is root.
void hand_over(const std::string& user, const std::string& path);
// The same of a listening socket: the port of one that is root's is not shared with those that
// `user` binds at a reload (SO_REUSEPORT asks for one owner).
void hand_over(const std::string& user, int listening_fd);

// What `look` finds as that user, in a process of its own: for `check`. Lines of text.
std::vector<std::string> seen_as(const std::string& user,
                                 const std::function<std::vector<std::string>()>& look);

// Whether this process could append to the file, or make it.
bool can_append(const std::string& path);

}  // namespace weir
