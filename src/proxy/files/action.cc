// A route's action `files`, as an exchange does it.
#include "base/log.h"
#include "proxy/exchange.h"
#include "proxy/files/look_up.h"
#include "proxy/files/path.h"
#include "proxy/files/source.h"
#include "proxy/proxy_worker.h"

namespace weir::proxy {

namespace {

constexpr http::MethodSet kReading = http::bit(http::Method::kGet) | http::bit(http::Method::kHead);

LogThrottle no_descriptor_left(1000);
LogThrottle disk_failed(1000);

}  // namespace

Step Exchange::serve_files() {
  if (request_.method == http::Method::kOptions) {
    return answer_options(kReading | http::bit(http::Method::kOptions));
  }
  if ((kReading & http::bit(request_.method)) == 0) return refuse_method(kReading);
  discard_body_ = true;
  const files::Files& files = *route_->files;
  const auto name = files::name_below(*route_, path_, files.shows_well_known, arena_);
  if (!name) return refuse_for_files(404, "no file has such a name");
  const files::Question question = {*name, path_,
                                    http::AcceptEncoding(http::CacheFields(request_.headers))};
  look_up_ = arena_.make<files::LookUp>(*this, route_->files, question);
  if (look_up_->start()) return answer_found();
  parked_ = true;
  return Step::kWait;
}

void Exchange::on_file_found() {
  if (over() || !parked_) return;
  parked_ = false;
  step_ = answer_found();
  advance();
}

Step Exchange::answer_found() {
  using Kind = files::Finding::Kind;
  files::Finding& found = look_up_->finding();
  switch (found.kind) {
    case Kind::kFile:
      return answer_from(*arena_.make<files::FileSource>(*this, *route_->files, found));
    case Kind::kListing:
      begin_local(200, arena_.copy(found.page));
      response_->headers.add("Content-Type", "text/html; charset=utf-8");
      return Step::kResponse;
    case Kind::kSlash: return redirect_to_folder();
    case Kind::kMissing: return refuse_for_files(404, "no such file");
    case Kind::kForbidden: return refuse_for_files(403, "a file that may not be read");
    case Kind::kFull:
      log_warn_once_per(no_descriptor_left,
                        "files: {}: none can be opened now: no descriptor "
                        "is left, or the disk is late",
                        route_->files->root->path());
      return reply_error(
          503, {Source::kWeir, ErrorKind::kOverload, Retry::kNever, "no file can be opened now"});
    case Kind::kFailed:
    case Kind::kUncached: break;
  }
  log_warn_once_per(disk_failed, "files: {}: cannot be read", route_->files->root->path());
  return reply_error(500,
                     {Source::kWeir, ErrorKind::kInternal, Retry::kNever, "a file system failed"});
}

Step Exchange::refuse_for_files(int status, const char* why) {
  return reply_error(status, {Source::kClient, ErrorKind::kRefused, Retry::kNever, why});
}

// Within the host, whatever the path: two slashes in front would name another one.
Step Exchange::redirect_to_folder() {
  std::string_view path = path_;
  while (path.starts_with("//")) path.remove_prefix(1);
  const bool has_query = !request_.query.empty();
  begin_local(301, {});
  response_->headers.add("Location",
                         arena_.concat({path, "/", has_query ? "?" : "", request_.query}));
  return Step::kResponse;
}

}  // namespace weir::proxy
