// TLS without sockets: a client and a server that hand each other their records.
#include "net/tls.h"

#include <catch2/catch.hpp>

#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "support/certificates.h"

namespace weir::net {
namespace {

using test::loaded;
using test::MadeCertificate;
using test::Wanted;

std::string take(Buffer& from) {
  std::string bytes;
  while (!from.empty()) {
    bytes += from.front();
    from.consume(from.front().size());
  }
  return bytes;
}

struct Ends {
  Ends(const TlsServer& server, const TlsClient& client, const std::string& name,
       std::shared_ptr<TlsTicket> ticket = nullptr, std::string local_ip = {})
      : at_server(server, 0, blocks, std::move(local_ip)),
        at_client(client, 0, blocks, name, std::move(ticket)) {}

  // Until neither has more to say; at most `piece` bytes at a time. What was decrypted is kept.
  void talk(size_t piece = SIZE_MAX) {
    std::string_view nothing;
    if (!at_client.open()) at_client.handshake(nothing);
    for (int i = 0; i < 20; ++i) {
      const std::string up = take(at_client.pending());
      const std::string down = take(at_server.pending());
      feed(at_server, up, piece, heard_by_server);
      feed(at_client, down, piece, heard_by_client);
    }
  }

  static void feed(Tls& tls, std::string_view bytes, size_t piece, std::string& heard) {
    std::string room(1 << 20, '\0');
    while (!bytes.empty() && !tls.failed()) {
      std::string_view now = bytes.substr(0, piece);
      bytes.remove_prefix(now.size());
      if (!tls.open()) tls.handshake(now);
      if (tls.open()) heard.append(room.data(), tls.decrypt(now, room.data(), room.size()));
    }
  }

  std::string record(Tls& from, std::string_view plain) {
    std::string cipher(Tls::kRecordBytes + Tls::kOverheadBytes, '\0');
    cipher.resize(from.encrypt(plain, cipher.data()));
    return cipher;
  }

  BlockPool blocks;
  Tls at_server;
  Tls at_client;
  std::string heard_by_server;
  std::string heard_by_client;
};

std::shared_ptr<const TlsServer> serve(TlsServerOptions options) {
  return TlsServer::make(std::move(options)).value();
}

std::shared_ptr<const TlsServer> serve(const MadeCertificate& certificate) {
  TlsServerOptions options;
  options.certificates = {loaded(certificate)};
  return serve(std::move(options));
}

std::shared_ptr<const TlsClient> trust(const MadeCertificate& certificate) {
  TlsClientOptions options;
  options.ca = certificate.cert_pem();
  return TlsClient::make(std::move(options)).value();
}

std::shared_ptr<const TlsClient> trust_all(std::vector<std::string> protocols = {}) {
  TlsClientOptions options;
  options.verify = false;
  options.protocols = std::move(protocols);
  return TlsClient::make(std::move(options)).value();
}

TEST_CASE("tls: both roles, whole records and byte by byte") {
  for (const size_t piece : {SIZE_MAX, size_t{1}, size_t{7}}) {
    CAPTURE(piece);
    Ends ends(*serve(test::some_certificate()), *trust(test::some_certificate()), "a.test");
    ends.talk(piece);
    REQUIRE(ends.at_server.open());
    REQUIRE(ends.at_client.open());
    CHECK(std::string_view(ends.at_server.version()) == "TLSv1.3");
    CHECK(std::string_view(ends.at_server.cipher()) == ends.at_client.cipher());
    CHECK(ends.at_server.server_name() == "a.test");
    CHECK_FALSE(ends.at_server.resumed());
    CHECK(ends.at_server.peer() == nullptr);
    const std::string large(Tls::kRecordBytes, 'x');
    std::string records = ends.record(ends.at_client, "question");
    records += ends.record(ends.at_client, large);
    Ends::feed(ends.at_server, records, piece, ends.heard_by_server);
    CHECK(ends.heard_by_server == "question" + large);
    CHECK_FALSE(ends.at_server.peer_closed());
    ends.at_client.close();
    ends.talk(piece);
    CHECK(ends.at_server.peer_closed());
    CHECK_FALSE(ends.at_server.failed());
    // its own direction is still open
    Ends::feed(ends.at_client, ends.record(ends.at_server, "answer"), piece, ends.heard_by_client);
    CHECK(ends.heard_by_client == "answer");
  }
}

TEST_CASE("tls: a client believes nobody but who it asked for") {
  const MadeCertificate old({.names = "DNS:a.test", .until_s = -60});
  const auto failure = [](const MadeCertificate& shown, const MadeCertificate& trusted,
                          const std::string& name) -> std::string {
    Ends ends(*serve(shown), *trust(trusted), name);
    ends.talk();
    CHECK(ends.at_client.open() == !ends.at_client.failed());
    // The server hears of it by an alert.
    CHECK(ends.at_server.failed() == ends.at_client.failed());
    return ends.at_client.failure();
  };
  const MadeCertificate& good = test::some_certificate();
  CHECK(failure(good, good, "a.test").empty());
  CHECK(failure(good, good, "127.0.0.1").empty());
  CHECK(failure(good, good, "b.test") == "hostname mismatch");
  CHECK(failure(good, good, "127.0.0.2") == "IP address mismatch");
  CHECK(failure(good, old, "a.test") == "self-signed certificate");
  CHECK(failure(old, old, "a.test") == "certificate has expired");
}

TEST_CASE("tls: the certificate is chosen by name, then by the client's kind of key") {
  TlsServerOptions options;
  options.certificates = {
      loaded(MadeCertificate({.names = "DNS:one.test,DNS:www.one.test"})),
      loaded(MadeCertificate({.names = "DNS:one.test", .key_kind = "RSA"})),
      loaded(MadeCertificate({.names = "DNS:*.two.test"})),
      loaded(MadeCertificate({.names = "DNS:deep.two.test,IP:10.0.0.1"})),
      loaded(MadeCertificate({.common_name = "Common.Test", .names = ""})),
      loaded(MadeCertificate({.common_name = "hidden.test", .names = "DNS:shown.test"})),
  };
  const std::vector<std::shared_ptr<const TlsCertificate>> all = options.certificates;
  const auto server = serve(std::move(options));
  const auto shown = [&](std::string_view name) {
    std::vector<size_t> indexes;
    for (const auto& certificate : server->group_for(name).certificates) {
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i] == certificate) indexes.push_back(i);
      }
    }
    return indexes;
  };
  using Indexes = std::vector<size_t>;
  CHECK(shown("one.test") == Indexes{0, 1});
  CHECK(shown("www.one.test") == Indexes{0});
  CHECK(shown("a.two.test") == Indexes{2});
  CHECK(shown("deep.two.test") == Indexes{3});
  CHECK(shown("a.b.two.test") == Indexes{0, 1});  // a wildcard stands for one label
  CHECK(shown("two.test") == Indexes{0, 1});
  CHECK(shown("common.test") == Indexes{4});
  CHECK(shown("hidden.test") == Indexes{0, 1});  // alternative names replace the common one
  CHECK(shown("10.0.0.1") == Indexes{3});
  CHECK(shown("") == Indexes{0, 1});

  // Who names nobody is shown what fits the address that it has reached.
  CHECK(server->looks_at_address());
  TlsClientOptions by_address;
  by_address.verify = false;
  for (const char* local_ip : {"10.0.0.1", "10.0.0.2"}) {
    Ends ends(*server, *TlsClient::make(by_address).value(), "10.0.0.9", nullptr, local_ip);
    ends.talk();
    REQUIRE(ends.at_server.open());
    CHECK(ends.at_server.server_name().empty());
    CHECK(ends.at_server.serves("anything.test"));
  }
}

TEST_CASE("tls: which hosts a connection may ask for") {
  TlsServerOptions options;
  options.certificates = {loaded(MadeCertificate({.names = "DNS:a.test,DNS:*.a.test"})),
                          loaded(MadeCertificate({.names = "DNS:b.test"}))};
  Ends ends(*serve(std::move(options)), *trust_all(), "A.test");
  ends.talk();
  REQUIRE(ends.at_server.open());
  CHECK(ends.at_server.serves("a.test"));
  CHECK(ends.at_server.serves("x.A.test"));
  CHECK_FALSE(ends.at_server.serves("x.y.a.test"));
  CHECK_FALSE(ends.at_server.serves("b.test"));
  CHECK_FALSE(ends.at_server.serves(""));
}

TEST_CASE("tls: protocols are agreed on in the server's order, or not at all") {
  TlsServerOptions options;
  options.certificates = {loaded(test::some_certificate())};
  options.protocols = {"h2", "http/1.1"};
  const auto server = serve(std::move(options));
  const auto agreed = [&](std::vector<std::string> offered) -> std::string {
    Ends ends(*server, *trust_all(std::move(offered)), "a.test");
    ends.talk();
    if (ends.at_server.failed()) return ends.at_server.failure();
    CHECK(ends.at_server.protocol() == ends.at_client.protocol());
    return std::string(ends.at_server.protocol());
  };
  CHECK(agreed({"http/1.1", "h2"}) == "h2");
  CHECK(agreed({"http/1.1"}) == "http/1.1");
  CHECK(agreed({}).empty());
  CHECK(agreed({"spdy/3"}) == "no_shared_protocol");
}

TEST_CASE("tls: sessions are resumed by ticket and by cache, on any worker, by one group") {
  const auto make = [](bool tickets, std::shared_ptr<TlsMemory> memory, std::string listener) {
    TlsServerOptions options;
    options.listener = std::move(listener);
    options.certificates = {loaded(test::some_certificate()),
                            loaded(MadeCertificate({.names = "DNS:b.test"}))};
    options.tickets = tickets;
    options.memory = std::move(memory);
    return serve(std::move(options));
  };
  const auto resumes = [](const TlsServer& first, const TlsServer& second, const char* name) {
    const auto ticket = std::make_shared<TlsTicket>();
    const auto client = trust_all();
    Ends before(first, *client, "a.test", ticket);
    before.talk();
    REQUIRE(ticket->session() != nullptr);
    Ends after(second, *client, name, ticket);
    after.talk();
    REQUIRE(after.at_server.open());
    CHECK(after.at_client.resumed() == after.at_server.resumed());
    CHECK(after.at_server.server_name() == name);
    return after.at_server.resumed();
  };
  for (const bool tickets : {true, false}) {
    CAPTURE(tickets);
    const auto memory = std::make_shared<TlsMemory>();
    const auto server = make(tickets, memory, "l");
    CHECK(resumes(*server, *server, "a.test"));
    CHECK(resumes(*server, *make(tickets, memory, "l"), "a.test"));  // over a reload
    CHECK_FALSE(resumes(*server, *server, "b.test"));                // shown another certificate
    CHECK_FALSE(resumes(*server, *make(tickets, memory, "other"), "a.test"));
    CHECK_FALSE(resumes(*server, *make(tickets, std::make_shared<TlsMemory>(), "l"), "a.test"));
    CHECK((memory->sessions.bytes() > 0) == !tickets);
  }
  // A fleet: keys from one file.
  std::string file(TicketKey::kFileBytes, 'n');
  TlsServerOptions options;
  options.certificates = {loaded(test::some_certificate())};
  options.ticket_keys = read_ticket_keys(file).value();
  TlsServerOptions rotated = options;
  rotated.ticket_keys = read_ticket_keys(std::string(TicketKey::kFileBytes, 'm') + file).value();
  TlsServerOptions forgotten = options;
  forgotten.ticket_keys = read_ticket_keys(std::string(TicketKey::kFileBytes, 'm')).value();
  const auto first = serve(options);
  CHECK(resumes(*first, *serve(options), "a.test"));
  CHECK(resumes(*first, *serve(rotated), "a.test"));
  CHECK_FALSE(resumes(*first, *serve(forgotten), "a.test"));
}

TEST_CASE("tls: what servers know of a client's certificate, resumed or not") {
  const MadeCertificate ca({.common_name = "ca", .names = "", .is_ca = true});
  const MadeCertificate alice({.common_name = "alice", .names = "DNS:alice.test,URI:spiffe://a"},
                              &ca);
  const MadeCertificate stranger({.common_name = "stranger", .names = ""});
  const auto server_with = [&](ClientAuth mode) {
    TlsServerOptions options;
    options.certificates = {loaded(test::some_certificate())};
    options.client_auth = mode;
    options.client_ca = ca.cert_pem();
    return serve(std::move(options));
  };
  const auto client_with = [](const MadeCertificate* certificate) {
    TlsClientOptions options;
    options.verify = false;
    if (certificate != nullptr) options.certificate = loaded(*certificate);
    return TlsClient::make(std::move(options)).value();
  };
  struct Case {
    ClientAuth mode;
    const MadeCertificate* shown;
    const char* verify;  // null: the handshake fails
    const char* subject;
    const char* names;
  };
  const Case cases[] = {
      {ClientAuth::kRequire, &alice, "SUCCESS", "CN=alice", "DNS:alice.test, URI:spiffe://a"},
      {ClientAuth::kRequire, &stranger, nullptr, "", ""},
      {ClientAuth::kRequire, nullptr, nullptr, "", ""},
      {ClientAuth::kOptional, &alice, "SUCCESS", "CN=alice", "DNS:alice.test, URI:spiffe://a"},
      {ClientAuth::kOptional, &stranger, "FAILED:self-signed certificate", "", ""},
      {ClientAuth::kOptional, nullptr, "NONE", "", ""},
  };
  for (const Case& one : cases) {
    CAPTURE(static_cast<int>(one.mode), one.shown == &alice, one.shown == &stranger);
    const auto server = server_with(one.mode);
    const auto client = client_with(one.shown);
    const auto ticket = std::make_shared<TlsTicket>();
    for (const bool again : {false, true}) {
      Ends ends(*server, *client, "a.test", ticket);
      ends.talk();
      CHECK(ends.at_server.open() == (one.verify != nullptr));
      if (one.verify == nullptr) continue;
      CHECK(ends.at_server.resumed() == again);
      const TlsPeer* peer = ends.at_server.peer();
      REQUIRE(peer != nullptr);
      CHECK(peer->verify == one.verify);
      CHECK(peer->subject == one.subject);
      CHECK(peer->names == one.names);
    }
  }
  // A session from when nobody was asked is none where somebody is.
  const auto ticket = std::make_shared<TlsTicket>();
  TlsServerOptions open;
  open.memory = std::make_shared<TlsMemory>();
  open.certificates = {loaded(test::some_certificate())};
  TlsServerOptions strict = open;
  strict.client_auth = ClientAuth::kRequire;
  strict.client_ca = ca.cert_pem();
  const auto client = client_with(nullptr);
  Ends before(*serve(open), *client, "a.test", ticket);
  before.talk();
  REQUIRE(ticket->session() != nullptr);
  Ends after(*serve(strict), *client, "a.test", ticket);
  after.talk();
  CHECK(after.at_server.failed());
  CHECK(std::string_view(after.at_server.failure()) == "no_certificate");
}

TEST_CASE("tls: a client's certificate that has expired is looked at again, resumed or not") {
  const MadeCertificate ca({.common_name = "ca", .names = "", .is_ca = true});
  const MadeCertificate expired({.common_name = "alice", .names = "", .until_s = -60}, &ca);
  for (const bool tickets : {true, false}) {
    CAPTURE(tickets);
    TlsServerOptions options;
    options.certificates = {loaded(test::some_certificate())};
    options.tickets = tickets;
    options.client_auth = ClientAuth::kOptional;
    options.client_ca = ca.cert_pem();
    const auto server = serve(std::move(options));
    TlsClientOptions own;
    own.verify = false;
    own.certificate = loaded(expired);
    const auto client = TlsClient::make(std::move(own)).value();
    const auto ticket = std::make_shared<TlsTicket>();
    for (const bool again : {false, true}) {
      CAPTURE(again);
      CHECK((ticket->session() != nullptr) == again);
      Ends ends(*server, *client, "a.test", ticket);
      ends.talk();
      REQUIRE(ends.at_server.open());
      CHECK_FALSE(ends.at_server.resumed());
      CHECK(ends.at_server.peer()->verify == "FAILED:certificate has expired");
    }
  }
}

TEST_CASE("tls: an OCSP answer is stapled until its end, and no longer") {
  constexpr int64_t kLifeS = 1000;
  const int64_t now_s = std::time(nullptr);
  const MadeCertificate ca({.common_name = "ca", .names = "", .is_ca = true});
  const MadeCertificate other_ca({.common_name = "ca", .names = "", .is_ca = true});
  const MadeCertificate leaf({.common_name = "leaf", .names = ""}, &ca);
  const auto read = [](const std::string& pem) { return TlsCertificate::read(pem).value(); };
  const auto certificate = read(leaf.cert_pem() + ca.cert_pem());
  CHECK(certificate->ocsp(now_s).empty());
  REQUIRE(certificate->add_ocsp(leaf.ocsp_der({.until_s = kLifeS, .issuer = &ca}), now_s).empty());
  CHECK(certificate->ocsp_warning().empty());
  CHECK_FALSE(certificate->ocsp(now_s + kLifeS - 10).empty());
  CHECK(certificate->ocsp(now_s + kLifeS + 10).empty());
  // Of the issuer the file may know the name alone.
  CHECK(read(leaf.cert_pem())->add_ocsp(leaf.ocsp_der({.issuer = &ca}), now_s).empty());
  const char* kOther = "is an OCSP answer for another certificate";
  CHECK(read(leaf.cert_pem())->add_ocsp(ca.ocsp_der(), now_s) == kOther);
  CHECK(certificate->add_ocsp(leaf.ocsp_der({.issuer = &other_ca}), now_s) == kOther);
}

TEST_CASE("tls: garbage and broken handshakes end, wherever they break") {
  const auto server = serve(test::some_certificate());
  const auto client = trust_all();
  std::string_view nothing;
  BlockPool blocks;
  Tls speaker(*client, 0, blocks, "a.test", nullptr);
  speaker.handshake(nothing);
  const std::string hello = take(speaker.pending());
  REQUIRE(hello.size() > 100);
  for (size_t i = 0; i < hello.size(); ++i) {
    Tls cut(*server, 0, blocks, {});
    std::string_view part = std::string_view(hello).substr(0, i);
    CHECK(cut.handshake(part) == Tls::Progress::kMore);
    std::string broken = hello;
    broken[i] = static_cast<char>(broken[i] ^ 0xff);
    Tls fooled(*server, 0, blocks, {});
    std::string_view bytes = broken;
    fooled.handshake(bytes);  // some bytes are the client's to choose
    CHECK_FALSE(fooled.open());
  }
  Ends ends(*server, *client, "a.test");
  ends.talk();
  std::string record = ends.record(ends.at_client, "question");
  record.back() = static_cast<char>(record.back() ^ 1);
  Ends::feed(ends.at_server, record, SIZE_MAX, ends.heard_by_server);
  CHECK(ends.at_server.failed());
  CHECK(ends.heard_by_server.empty());
  CHECK(std::string_view(ends.at_server.failure()) == "malformed");
  CHECK_FALSE(take(ends.at_server.pending()).empty());  // an alert says so
}

}  // namespace
}  // namespace weir::net
