#include "proxy/files/look_up.h"

#include <string>
#include <utility>

#include "proxy/exchange.h"
#include "proxy/files/disk.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy::files {

net::Helpers& disk_threads() {
  constexpr uint32_t kThreads = 4;
  constexpr size_t kWaitingMax = 512;
  static net::Helpers process(kThreads, kWaitingMax);
  return process;
}

LookUp::LookUp(Exchange& exchange, std::shared_ptr<const Files> files, const Question& question)
    : exchange_(exchange), files_(std::move(files)), question_(question) {}

bool LookUp::start() {
  finding_ = find(*files_, question_, false);
  if (finding_.kind != Finding::Kind::kUncached) return true;
  if (start_errand()) return false;
  finding_ = find(*files_, question_, true);
  return true;
}

bool LookUp::start_errand() {
  errand_.emplace(exchange_.worker().net(), static_cast<net::Errand::User&>(*this));
  found_elsewhere_ = std::make_shared<Finding>();
  const auto work = [files = files_, name = std::string(question_.name),
                     path = std::string(question_.path), accept = question_.accept,
                     out = found_elsewhere_]() -> uint32_t {
    *out = find(*files, {name, path, accept}, true);
    return 0;
  };
  return errand_->start(disk_threads(), work, kDiskMs);
}

void LookUp::on_errand_done(uint32_t) {
  finding_ = std::move(*found_elsewhere_);
  exchange_.on_file_found();
}

void LookUp::on_errand_late() {
  finding_ = {};
  finding_.kind = Finding::Kind::kFull;
  exchange_.on_file_found();
}

}  // namespace weir::proxy::files
