#include "filters/auth/basic.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/limits.h"
#include "filters/auth/authorization.h"
#include "filters/auth/password.h"
#include "filters/auth/realm.h"
#include "filters/auth/refusal.h"
#include "filters/auth/users_file.h"
#include "filters/auth/verified_table.h"
#include "filters/header_name.h"
#include "filters/shared_settings.h"
#include "net/helpers.h"
#include "net/worker.h"
#include "proxy/exchange.h"
#include "proxy/proxy_worker.h"
#include "proxy/subject.h"

namespace weir::filters::auth {

namespace {

struct Options {
  std::shared_ptr<const Users> users;
  std::string challenge;
  std::string user_header;
  bool strip = false;
};

constexpr Refusal kMissing = {401, "missing", "no password"};
constexpr Refusal kWrong = {401, "wrong", "wrong user or password"};
constexpr Refusal kMalformed = {401, "malformed", "a broken Authorization field"};
constexpr Refusal kBusy = {503, "busy", "too many passwords are being checked"};

struct Known {};

VerifiedTable<Known>& known_passwords() {
  static VerifiedTable<Known> table(limits::kVerifiedPasswords);
  return table;
}

// With the hash that it was held against: a new password, or a user who is gone, is another key.
Hash128 key_of(std::string_view user, std::string_view password, std::string_view hash) {
  static const SipKey process_key = SipKey::random();
  std::string text;
  text.reserve(user.size() + password.size() + hash.size() + 2);
  text.append(user).append(1, '\0').append(password).append(1, '\0').append(hash);
  return process_key.hash(text);
}

// A password and what it is held against.
struct Proof {
  std::string password;
  std::string hash;
  bool known;  // false: the hash of a stand-in, checked for the time that it takes
  Hash128 key;
  uint64_t now_s;
};

// On a helper's thread. Several requests of a page come at once when a browser has just been told
// the password: the first one pays.
uint32_t check(const Proof& proof, VerifiedTable<Known>& table) {
  Known known;
  if (proof.known && table.find(proof.key, proof.now_s, known)) return 1;
  const bool right = is_password(proof.password, proof.hash);
  if (!right || !proof.known) return 0;
  table.put(proof.key, proof.now_s + limits::kVerifiedPasswordS, {});
  return 1;
}

// Lives in its exchange's arena; thread: the worker's.
class Basic final : public proxy::Filter, public net::Errand::User {
 public:
  explicit Basic(const Options& options) : options_(options) {}

  proxy::Verdict on_request(proxy::FilterContext& context, http::RequestHead& head) override {
    proxy::Exchange& exchange = context.exchange();
    if (!options_.user_header.empty()) exchange.drop_site_fields();
    const Authorization sent = find_authorization(head.headers, "Basic");
    if (sent.state == Authorization::State::kNone) return refuse_with(kMissing);
    if (sent.state == Authorization::State::kTwice) return refuse_with(kMalformed);
    const std::optional<Password> password = parse_basic(sent.credentials, exchange.arena());
    if (!password) return refuse_with(kMalformed);
    subject_.name = password->user;

    const Users::Entry entry = options_.users->find(password->user);
    const Hash128 key = key_of(password->user, password->password, entry.hash);
    const uint64_t now_s = exchange.worker().net().now_us() / 1'000'000;
    Known known;
    if (entry.known && known_passwords().find(key, now_s, known)) {
      let_in(exchange);
      return proxy::Next{};
    }
    return ask(context, {std::string(password->password), entry.hash, entry.known, key, now_s});
  }

  void on_end(const proxy::Summary&) noexcept override { wait_.reset(); }

  void on_errand_done(uint32_t result) override {
    proxy::Exchange& exchange = wait_->exchange;
    proxy::Resume resume = std::move(wait_->resume);
    wait_.reset();
    if (result == 0) return std::move(resume).reply(refuse_with(kWrong));
    let_in(exchange);
    std::move(resume).next();
  }

  void on_errand_late() override {
    proxy::Resume resume = std::move(wait_->resume);
    wait_.reset();
    std::move(resume).reply(refuse_with(kBusy));
  }

 private:
  // As long as it waits its exchange lives: this filter is in the exchange's arena.
  struct Wait {
    Wait(proxy::Resume token, proxy::Exchange& of, Basic& filter)
        : resume(std::move(token)), exchange(of), errand(of.worker().net(), filter) {}
    proxy::Resume resume;
    proxy::Exchange& exchange;
    net::Errand errand;
  };

  proxy::Verdict ask(proxy::FilterContext& context, Proof proof) {
    std::pair<proxy::Parked, proxy::Resume> parked = context.park();
    wait_.emplace(std::move(parked.second), context.exchange(), *this);
    // Made before the helpers, and so there until they have ended.
    VerifiedTable<Known>& table = known_passwords();
    const bool started = wait_->errand.start(
        net::helpers(), [proof = std::move(proof), &table] { return check(proof, table); },
        limits::kErrandMs);
    if (started) return parked.first;
    std::move(wait_->resume).reply(refuse_with(kBusy));
    wait_.reset();
    return parked.first;
  }

  void let_in(proxy::Exchange& exchange) {
    http::HeaderList& headers = exchange.request().headers;
    if (options_.strip) headers.remove(http::HeaderId::kAuthorization);
    if (!options_.user_header.empty()) headers.add(options_.user_header, subject_.name);
    exchange.set_subject(subject_);
  }

  proxy::LocalReply refuse_with(const Refusal& refusal) const {
    return refuse("basic", refusal, refusal.status == 401 ? options_.challenge : std::string());
  }

  const Options& options_;  // the snapshot's, which the exchange pins
  proxy::Subject subject_;
  std::optional<Wait> wait_;
};

class Factory final : public SharedFactory<Basic, Options> {
 public:
  using SharedFactory::SharedFactory;
  std::string_view name() const override { return "auth"; }
  bool asks_for_proof() const override { return true; }
  std::span<const std::string> own_fields() const override {
    return {&options().user_header, options().user_header.empty() ? size_t{0} : size_t{1}};
  }
  static bool tells(User user) { return user == User::kSubject; }
};

void read_users(const options::Node& node, const Reading& reading, Options& options) {
  std::string text;
  if (!reading.file(node, text)) return;
  std::vector<Users::Fault> faults;
  options.users = Users::parse(text, faults);
  for (Users::Fault& fault : faults) {
    std::string what = node.shown();
    if (fault.line != 0) what += ", line " + std::to_string(fault.line) + ",";
    reading.problems.error(node, what + " " + fault.what, std::move(fault.hint));
  }
}

}  // namespace

SettingsPtr basic_read(const options::Node& value, const Reading& reading) {
  Options options;
  options::MapReader map(value, reading.problems);
  const options::Node* const file = map.require("users_file", "lines of user:hash");
  if (file != nullptr) read_users(*file, reading, options);
  options.challenge = "Basic " + read_realm(map) + ", charset=\"UTF-8\"";
  if (const options::Node* header = map.find("user_header")) {
    if (options::read_string(*header, reading.problems, options.user_header)) {
      check_own_header_name(*header, options.user_header, reading.problems);
    }
  }
  map.boolean("strip", options.strip);
  map.finish();
  return shared_settings<Factory>(std::move(options));
}

}  // namespace weir::filters::auth
