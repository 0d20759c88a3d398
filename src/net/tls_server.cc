#include "net/tls_server.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "net/tls_callbacks.h"
#include "net/tls_hooks.h"
#include "net/tls_state.h"
#include "net/tls_text.h"

namespace weir::net {

namespace {

using StatePtr = std::shared_ptr<const TlsServer::State>;

void free_state(void*, void* state, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<StatePtr*>(state);
}

// A context keeps its state alive: connections outlive the snapshot that made them.
int state_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_state);
  return index;
}

bool is_address(const std::string& name) {
  in6_addr ignored;
  return inet_pton(AF_INET, name.c_str(), &ignored) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &ignored) == 1;
}

std::string sha256(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  WEIR_CHECK(EVP_Digest(text.data(), text.size(), digest, &length, EVP_sha256(), nullptr) == 1);
  return {reinterpret_cast<const char*>(digest), length};
}

// A session is good where the same would be shown and asked for: on this listener, for this group
// of names, under these rules for clients. The same for a whole fleet, and over a renewal.
std::string session_context(const TlsServerOptions& options, const TlsGroup& group) {
  std::string text = options.listener;
  text += '\0';
  text += static_cast<char>('0' + static_cast<int>(options.client_auth));
  text += sha256(options.client_ca);
  for (const auto& certificate : group.certificates) {
    text += '\0' + certificate->key_kind();
    for (const std::string& name : certificate->names()) text += '\n' + name;
  }
  return sha256(text);
}

// For each name the certificates that have it, the first of each kind of key.
void make_groups(TlsServer::State& state) {
  const auto& certificates = state.options.certificates;
  std::map<std::string, std::vector<size_t>> by_name;
  for (size_t i = 0; i < certificates.size(); ++i) {
    for (const std::string& name : certificates[i]->names()) {
      std::vector<size_t>& of_name = by_name[name];
      const bool taken = std::any_of(of_name.begin(), of_name.end(), [&](size_t other) {
        return certificates[other]->key_kind() == certificates[i]->key_kind();
      });
      if (!taken) of_name.push_back(i);
    }
  }
  std::map<std::vector<size_t>, uint32_t> known;
  const auto group_of = [&](const std::vector<size_t>& members) {
    const auto [found, fresh] = known.emplace(members, state.groups.size());
    if (fresh) {
      TlsGroup& group = state.groups.emplace_back();
      for (const size_t member : members) group.certificates.push_back(certificates[member]);
      group.session_context = session_context(state.options, group);
    }
    return found->second;
  };
  const std::vector<std::string>& first_names = certificates.front()->names();
  std::vector<size_t> shown_first = {0};
  if (!first_names.empty()) shown_first = by_name[first_names.front()];
  state.default_group = group_of(shown_first);
  for (const auto& [name, members] : by_name) {
    const bool wild = name.size() > 2 && name[0] == '*' && name[1] == '.';
    state.group_by_name.emplace(wild ? name.substr(1) : name, group_of(members));
  }
}

bool set_client_auth(SSL_CTX* context, const TlsServer::State& state) {
  if (state.options.client_auth == ClientAuth::kOff) return true;
  SSL_CTX_set1_cert_store(context, state.trust);
  const BioPtr bio = bio_over(state.options.client_ca);
  while (X509* ca = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    const bool added = SSL_CTX_add_client_CA(context, ca) == 1;
    X509_free(ca);
    if (!added) return false;
  }
  ERR_clear_error();
  if (state.options.client_auth == ClientAuth::kRequire) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  } else {  // who shows a bad one is let in, and known as such
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  }
  return true;
}

bool set_up_server(SSL_CTX* context, const StatePtr& state) {
  const TlsServerOptions& options = state->options;
  const int version = options.min_version == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (!set_up_context(context) || SSL_CTX_set_min_proto_version(context, version) != 1)
    return false;
  SSL_CTX_set_security_level(context, static_cast<int>(options.security_level));
  if (SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1) return false;
  if (SSL_CTX_set_ciphersuites(context, options.suites_13.c_str()) != 1) return false;
  if (SSL_CTX_set1_groups_list(context, options.curves.c_str()) != 1) return false;
  if (options.prefer_server_ciphers) {
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  }
  const TlsGroup& group = state->groups[state->default_group];
  for (const auto& certificate : group.certificates) {
    if (!show_certificate(context, *certificate)) return false;
  }
  if (SSL_CTX_set_ex_data(context, state_index(), new StatePtr(state)) != 1) return false;
  install_server_callbacks(context, options);
  return set_client_auth(context, *state);
}

}  // namespace

const TlsServer::State& TlsHooks::state_of(const SSL_CTX* context) {
  return **static_cast<StatePtr*>(SSL_CTX_get_ex_data(context, state_index()));
}

const TlsServer::State& TlsHooks::state_of(const SSL* ssl) {
  return state_of(SSL_get_SSL_CTX(ssl));
}

bool TlsGroup::covers(std::string_view host) const {
  return std::any_of(certificates.begin(), certificates.end(),
                     [host](const auto& certificate) { return certificate->covers(host); });
}

const TlsGroup& TlsServer::State::group_for(std::string_view name) const {
  if (const auto exact = group_by_name.find(name); exact != group_by_name.end()) {
    return groups[exact->second];
  }
  const size_t dot = name.find('.');
  if (dot != std::string_view::npos && dot > 0) {
    const auto wild = group_by_name.find(name.substr(dot));
    if (wild != group_by_name.end()) return groups[wild->second];
  }
  return groups[default_group];
}

const TlsGroup& TlsServer::State::group_at(std::string_view local_ip) const {
  const TlsGroup& standard = groups[default_group];
  return standard.covers(local_ip) ? standard : group_for(local_ip);
}

const TlsGroup& TlsServer::group_for(std::string_view server_name) const {
  return state_->group_for(server_name);
}

bool TlsServer::asks_for_certificate() const {
  return state_->options.client_auth != ClientAuth::kOff;
}

bool TlsServer::asks_like(const TlsServer& other) const {
  const TlsServerOptions& mine = state_->options;
  const TlsServerOptions& theirs = other.state_->options;
  return mine.client_auth == theirs.client_auth && mine.client_ca == theirs.client_ca;
}

Result<std::shared_ptr<const TlsServer>> TlsServer::make(TlsServerOptions options) {
  using Made = Result<std::shared_ptr<const TlsServer>>;
  WEIR_CHECK(!options.certificates.empty() && options.workers > 0);
  auto state = std::make_shared<State>();
  state->options = std::move(options);
  if (state->options.memory == nullptr) state->options.memory = std::make_shared<TlsMemory>();
  state->alpn = alpn_wire(state->options.protocols);
  make_groups(*state);
  if (state->options.client_auth != ClientAuth::kOff) {
    std::string why;
    state->trust = make_trust(state->options.client_ca, why);
    if (state->trust == nullptr) return Made::failure(why);
  }
  ERR_clear_error();
  std::shared_ptr<TlsServer> server(new TlsServer);
  server->state_ = state;
  server->looks_at_address_ =
      state->groups.size() > 1 &&
      std::any_of(state->group_by_name.begin(), state->group_by_name.end(),
                  [](const auto& entry) { return is_address(entry.first); });
  for (uint32_t i = 0; i < state->options.workers; ++i) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    if (context != nullptr) server->contexts_.push_back(context);
    if (context == nullptr || !set_up_server(context, state)) return Made::failure(openssl_error());
  }
  return Made(std::move(server));
}

TlsServer::~TlsServer() {
  for (SSL_CTX* context : contexts_) SSL_CTX_free(context);
}

// ---- what a configuration asks before ----

Result<CipherUse> judge_ciphers(const std::string& list, uint32_t security_level) {
  using Judged = Result<CipherUse>;
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_security_level(context, static_cast<int>(security_level));
  CipherUse use;
  size_t count = 0;
  if (SSL_CTX_set_cipher_list(context, list.c_str()) == 1) {
    const STACK_OF(SSL_CIPHER)* ciphers = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
      const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(ciphers, i);
      const int auth = SSL_CIPHER_get_auth_nid(cipher);
      if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_any) continue;  // TLS 1.3: not of this list
      ++count;
      use.rsa |= auth == NID_auth_rsa;
      use.ecdsa |= auth == NID_auth_ecdsa;
      if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa && use.without_forward_secrecy.empty()) {
        use.without_forward_secrecy = SSL_CIPHER_get_name(cipher);
      }
    }
  }
  SSL_CTX_free(context);
  ERR_clear_error();
  if (count == 0) return Judged::failure("no such cipher suite");
  return use;
}

std::string why_no_suites(const std::string& list) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  const bool good = SSL_CTX_set_ciphersuites(context, list.c_str()) == 1;
  SSL_CTX_free(context);
  ERR_clear_error();
  return good ? "" : "no such cipher suite";
}

std::string why_no_curves(const std::string& list) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  const bool good = SSL_CTX_set1_groups_list(context, list.c_str()) == 1;
  SSL_CTX_free(context);
  ERR_clear_error();
  return good ? "" : "no such curve";
}

std::string why_no_trust(std::string_view pem) {
  std::string why;
  X509_STORE_free(make_trust(pem, why));
  return why;
}

}  // namespace weir::net
