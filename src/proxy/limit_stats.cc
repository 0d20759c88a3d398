#include "proxy/limit_stats.h"

#include "proxy/snapshot.h"

namespace weir::proxy {

const char* limit_word(LimitResult result) {
  switch (result) {
    case LimitResult::kAllowed: return "allowed";
    case LimitResult::kRefused: return "refused";
    case LimitResult::kDelayed: return "delayed";
    case LimitResult::kReturned: return "returned";
  }
  return "";
}

Labels& limit_names() {
  static Labels names;
  return names;
}

LimitStats& limit_stats() {
  static LimitStats stats;
  return stats;
}

}  // namespace weir::proxy
