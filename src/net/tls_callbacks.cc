#include "net/tls_callbacks.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "net/clock.h"
#include "net/tls_hooks.h"
#include "net/tls_state.h"

namespace weir::net {

namespace {

using State = TlsServer::State;

std::string_view view_of(const unsigned char* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// RFC 6066 3: one name of one kind. What is not that is left to OpenSSL to refuse.
std::string server_name_of(SSL* ssl) {
  const unsigned char* bytes = nullptr;
  size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &size) != 1) return {};
  constexpr size_t kHeadBytes = 5;  // length of the list, kind, length of the name
  if (size <= kHeadBytes || bytes[2] != TLSEXT_NAMETYPE_host_name) return {};
  const size_t length = size_t{bytes[3]} << 8 | bytes[4];
  if (length != size - kHeadBytes || length > TLSEXT_MAXLEN_host_name) return {};
  std::string name(view_of(bytes + kHeadBytes, length));
  for (char& c : name) c = to_lower(c);
  return name;
}

// Before sessions are looked for: a session of one group is none in another.
int on_client_hello(SSL* ssl, int* alert, void*) noexcept {
  Tls& tls = TlsHooks::tls_of(ssl);
  const State& state = TlsHooks::state_of(ssl);
  std::string name = server_name_of(ssl);
  const TlsGroup& group =
      name.empty() ? state.group_at(TlsHooks::local_ip(tls)) : state.group_for(name);
  TlsHooks::choose(tls, std::move(name), group);
  const auto* context = reinterpret_cast<const unsigned char*>(group.session_context.data());
  if (SSL_set_session_id_context(ssl, context,
                                 static_cast<unsigned int>(group.session_context.size())) == 1) {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

int on_server_name(SSL*, int*, void*) noexcept { return SSL_TLSEXT_ERR_OK; }

// A full handshake. The default group is in the context already.
int on_certificate(SSL* ssl, void*) noexcept {
  const State& state = TlsHooks::state_of(ssl);
  const TlsGroup& group = TlsHooks::group(TlsHooks::tls_of(ssl));
  if (&group == &state.groups[state.default_group]) return 1;
  SSL_certs_clear(ssl);
  for (const auto& certificate : group.certificates) {
    if (SSL_use_cert_and_key(ssl, certificate->x509(), certificate->key(), certificate->chain(),
                             1) != 1) {
      return 0;
    }
  }
  return 1;
}

// The server's order decides. RFC 7301 3.2: no protocol in common is fatal.
int on_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
            unsigned int offered_size, void* own) noexcept {
  const auto* wire = static_cast<const std::string*>(own);
  unsigned char* chosen = nullptr;
  const int found =
      SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(wire->data()),
                            static_cast<unsigned int>(wire->size()), offered, offered_size);
  if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL has chosen a certificate by now.
int on_status_request(SSL* ssl, void*) noexcept {
  const X509* shown = SSL_get_certificate(ssl);
  for (const auto& certificate : TlsHooks::group(TlsHooks::tls_of(ssl)).certificates) {
    if (certificate->x509() != shown) continue;
    const std::string_view answer = certificate->ocsp(std::time(nullptr));
    if (answer.empty()) break;
    auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(answer.data(), answer.size()));
    if (copy == nullptr) break;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(answer.size()));
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

// ---- sessions ----

// Each resumption makes a new session of the old one's certificate, which nobody looks at again: a
// client that comes often enough would be let in for ever. What has expired is to be shown anew.
bool shown_has_expired(SSL_SESSION* session) {
  const X509* shown = SSL_SESSION_get0_peer(session);
  return shown != nullptr && X509_cmp_current_time(X509_get0_notAfter(shown)) <= 0;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  const State& state = TlsHooks::state_of(ssl);
  // Told of tickets, too, in TLS 1.3: they need no place here.
  if (state.options.tickets && SSL_version(ssl) >= TLS1_3_VERSION) return 0;
  unsigned int id_size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &id_size);
  const int size = i2d_SSL_SESSION(session, nullptr);
  if (size <= 0 || id_size == 0) return 0;
  std::string bytes(static_cast<size_t>(size), '\0');
  auto* at = reinterpret_cast<unsigned char*>(bytes.data());
  i2d_SSL_SESSION(session, &at);
  state.options.memory->sessions.put(view_of(id, id_size), std::move(bytes),
                                     state.options.session_cache_bytes,
                                     monotonic_ms() + state.options.session_timeout_ms);
  return 0;  // the session stays OpenSSL's
}

SSL_SESSION* on_find_session(SSL* ssl, const unsigned char* id, int id_size, int* copy) noexcept {
  *copy = 0;
  const State& state = TlsHooks::state_of(ssl);
  const std::string bytes = state.options.memory->sessions.find(
      view_of(id, static_cast<size_t>(id_size)), monotonic_ms());
  if (bytes.empty()) return nullptr;
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  SSL_SESSION* session = d2i_SSL_SESSION(nullptr, &at, static_cast<long>(bytes.size()));
  if (session == nullptr || !shown_has_expired(session)) return session;
  SSL_SESSION_free(session);
  return nullptr;
}

// ---- tickets ----

bool set_ticket_keys(const TicketKey& key, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                     EVP_MAC_CTX* mac, bool encrypt) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<uint8_t*>(key.hmac.data()),
                                        key.hmac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.aes.data(), iv,
                           encrypt ? 1 : 0) == 1 &&
         EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

bool find_ticket_key(const TlsServerOptions& options, const unsigned char* name, TicketKey& key,
                     bool& is_present) {
  if (options.ticket_keys.empty()) {
    return options.memory->ticket_keys.find(name, monotonic_ms(), options.ticket_rotate_ms,
                                            options.session_timeout_ms, key, is_present);
  }
  for (const TicketKey& known : options.ticket_keys) {
    if (std::memcmp(known.name.data(), name, known.name.size()) != 0) continue;
    key = known;
    is_present = &known == &options.ticket_keys.front();
    return true;
  }
  return false;
}

// As SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has it: -1 error, 0 unknown, 1 good, 2 good and to be
// replaced.
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int encrypt) noexcept {
  const TlsServerOptions& options = TlsHooks::state_of(ssl).options;
  TicketKey key;
  int answer = 1;
  if (encrypt == 1) {
    key = options.ticket_keys.empty()
              ? options.memory->ticket_keys.present(monotonic_ms(), options.ticket_rotate_ms,
                                                    options.session_timeout_ms)
              : options.ticket_keys.front();
    std::memcpy(name, key.name.data(), key.name.size());
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  } else {
    bool is_present = false;
    if (!find_ticket_key(options, name, key, is_present)) return 0;
    // RFC 8446 C.4: a ticket is used once, so who has used one gets the next.
    answer = is_present && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
  }
  return set_ticket_keys(key, iv, cipher, mac, encrypt == 1) ? answer : -1;
}

// What OpenSSL would do by itself, but for one kind of session.
SSL_TICKET_RETURN on_ticket_read(SSL*, SSL_SESSION* session, const unsigned char*, size_t,
                                 SSL_TICKET_STATUS status, void*) noexcept {
  const bool read = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
  if (!read || shown_has_expired(session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

}  // namespace

void install_server_callbacks(SSL_CTX* context, const TlsServerOptions& options) {
  SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
  SSL_CTX_set_cert_cb(context, on_certificate, nullptr);
  SSL_CTX_set_alpn_select_cb(context, on_alpn,
                             const_cast<std::string*>(&TlsHooks::state_of(context).alpn));
  SSL_CTX_set_tlsext_status_cb(context, on_status_request);
  SSL_CTX_set_timeout(context, static_cast<long>(options.session_timeout_ms / 1000));
  SSL_CTX_set_num_tickets(context, 1);
  if (options.tickets) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_session_ticket_cb(context, nullptr, on_ticket_read, nullptr);
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  }
  if (options.session_cache_bytes == 0) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return;
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_new_session);
  SSL_CTX_sess_set_get_cb(context, on_find_session);
}

}  // namespace weir::net
