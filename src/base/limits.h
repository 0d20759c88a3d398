// Every cap that no configuration moves: its reason, and what happens when it is reached. What may
// wait in memory for a slow peer is configured: proxy::MemoryConfig.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::limits {

// Head of an upstream's answer. Reached: 502.
inline constexpr uint32_t kUpstreamHeadBytes = 64 * 1024;
inline constexpr uint32_t kUpstreamHeaders = 256;

// A PROXY header that a balancer puts in front of a connection, its TLVs included. Reached: closed.
inline constexpr size_t kProxyHeaderBytes = 4096;

// Interim (1xx) answers before a final one. Reached: 502.
inline constexpr uint32_t kInformationalMax = 16;

// What is still read of a client after an answer that closes the connection, so that the answer is
// not lost to a reset. Reached, or after kLingerMs: closed.
inline constexpr size_t kLingerBytes = 64 * 1024;
inline constexpr uint64_t kLingerMs = 2000;

// Request body that is read and thrown away to keep a connection whose answer is complete. More
// than this is left: the connection closes instead.
inline constexpr uint64_t kBodyDebtBytes = 64 * 1024;

// Idle time that a connection gets even when it has reached its age: a client that is about to send
// its next request hears of the end with the answer, instead of losing the request.
inline constexpr uint64_t kAgedConnectionIdleMs = 1000;

// Exchanges of one worker. Reached: 503 before anything is allocated.
inline constexpr size_t kExchangesMax = 1 << 20;

// Pipelined requests of one connection that are answered in one go, without a server: their memory
// is free again only behind it, and others wait. Reached: the next ones wait for the next tick.
inline constexpr uint32_t kRequestsInARow = 64;

// Silence in a tunnel of which one side has ended. Reached: closed.
inline constexpr uint64_t kHalfClosedTunnelMs = 5000;

// How long a client that has connected may think before its first request when the listener or the
// worker is leaving. Reached: closed.
inline constexpr uint64_t kLastRequestMs = 1000;
// Addresses of one host name that are used. Reached: the rest is left out.
inline constexpr size_t kAddressesPerName = 64;

// Questions to name servers that are under way at once. Reached: the next ones wait.
inline constexpr size_t kLookUpsAtOnce = 64;

// How long a load waits for the first answers, for all names together. Reached: names without one
// are servers that are down until it comes.
inline constexpr uint64_t kFirstLookUpMs = 2000;

// Addresses of one server that one try dials, one after the other. Reached: the try has failed.
inline constexpr uint32_t kDialsMax = 4;

// Streams of one HTTP/2 connection to a server, whatever more it allows; until it has said what it
// allows, as many wait for it as RFC 9113 6.5.2 recommends. Reached: another connection is dialled.
inline constexpr uint32_t kH2StreamsMax = 1000;
inline constexpr uint32_t kH2StreamsExpected = 100;

// Of a request's body, what waits for the window of an HTTP/2 server. Reached: the client is read
// no further.
inline constexpr size_t kH2QueueBytes = 64 * 1024;

// A server that is silent for so long while requests are open at it gets a PING, and has so long to
// say anything. Reached: the connection is dead. Silent all the same, it gets the next PING much
// later: gRPC servers take more than one in five minutes for an attack, unless they answer between.
inline constexpr uint64_t kH2PingAfterMs = 5'000;
inline constexpr uint64_t kH2PongMs = 10'000;
inline constexpr uint64_t kH2PingAgainMs = 310'000;

// A connection to a server that is silent for so long is probed, so often and that many times.
inline constexpr uint32_t kTcpKeepaliveIdleS = 60;
inline constexpr uint32_t kTcpKeepaliveIntervalS = 10;
inline constexpr uint32_t kTcpKeepaliveProbes = 3;

// Slots of a consistent-hash table that are looked at for a server that may take a request.
// Reached: the least loaded one takes it.
inline constexpr uint32_t kHashProbes = 256;

// Of an active check's answer, what is searched for the text that it must hold. Reached: it does
// not.
inline constexpr size_t kCheckBodyBytes = 64 * 1024;

// Addresses that left the name of a server, whose checks are remembered. Reached: who left first is
// forgotten.
inline constexpr size_t kAddressesRemembered = 64;

// Active checks that are under way at once. Reached: the next ones wait.
inline constexpr uint32_t kChecksAtOnce = 256;

// What concurrency: adaptive may rise to where circuit_breaker.max_connections says nothing.
// Reached: it rises no more.
inline constexpr uint32_t kAdaptiveMax = 1000;

// Servers of an upstream that a balancer looks at each. More: it draws so many at random for one
// that may take the request; none of them may: it looks at each after all.
inline constexpr size_t kServersLookedAt = 64;
inline constexpr uint32_t kBalancerDraws = 32;

// Servers of an upstream that a servers_file lists, and its size. Reached: the file is refused.
inline constexpr size_t kMembersMax = 20'000;
inline constexpr size_t kMembersFileBytes = 8 << 20;

// Cookies of one request that are looked at for its server. Reached: it is bound to none.
inline constexpr uint32_t kStickyCookies = 4;

// Tries of one request, where nothing else is configured: the first and one retry.
inline constexpr uint32_t kAttempts = 2;
// With those that a server gave back unread (HTTP/2: GOAWAY, REFUSED_STREAM).
inline constexpr uint32_t kAttemptsUnread = 4;
// What may be configured: more would only keep the client waiting.
inline constexpr uint32_t kAttemptsMax = 10;

// Requests of one worker that are copied to a mirror, from their heads to the end of the mirror's
// answers, and what they hold of bodies together. Reached: requests are not mirrored.
inline constexpr size_t kShadowsMax = 256;
inline constexpr size_t kShadowBytesMax = 16 << 20;
// Of a mirror's answer, what is read to keep the connection. Reached: it is closed.
inline constexpr uint64_t kShadowAnswerBytes = 1 << 20;
// Copies that go out in one go: real requests come between them. Reached: the next ones go out in
// the loop's next iteration.
inline constexpr uint32_t kShadowsInARow = 16;

// Of an auth server's answer that is handed on to the client, and how long it may take where
// nothing else is configured. Reached: 503.
inline constexpr size_t kAuthAnswerBytes = 256 * 1024;
inline constexpr uint64_t kAuthAnswerMs = 5'000;

// Second tries that an upstream's retry.budget grants in 5 to 10 s however few requests there are:
// one a second hurts no server. Reached: what the share of requests grants.
inline constexpr uint64_t kRetriesFree = 10;

// An answer that asks for another try is kept so long, in bytes and time. Over: a large one goes to
// the client, a slow one is cut off and the request tried again.
inline constexpr size_t kUnwantedAnswerBytes = 16 * 1024;
inline constexpr uint64_t kUnwantedAnswerMs = 100;

// What is left of an answer that nobody gets, because the client has it or is served from
// elsewhere: it is read and thrown away where it is known to be so short, and for so long. Over:
// the connection is closed.
inline constexpr size_t kUnwantedRestBytes = 64 * 1024;
inline constexpr uint64_t kUnwantedRestMs = 1000;

// How long response filters may hold up the 504 of a request whose time is over. Reached: it is
// cut.
inline constexpr uint64_t kLateAnswerMs = 1000;

// Of a server's answer, so much may be waited for before its head leaves.
inline constexpr size_t kWholeAnswerBytes = 64 * 1024;

// Of an answer that is at hand, a file or a stored one, so much goes out in one iteration of the
// loop; and of one that is encoded on the way, where a byte costs a hundred times as much.
inline constexpr size_t kPumpBytes = 1 << 20;
inline constexpr size_t kStagePumpBytes = 128 * 1024;

// Answers of one worker that are read to their end for the cache though the client for whom they
// were asked has left. Reached: the answer is given up, and whoever reads along is cut.
inline constexpr size_t kRemaindersMax = 128;
// How long, where neither the route nor the upstream has a total time. Over: the same.
inline constexpr uint64_t kRemainderMs = 60'000;
// A worker that has no clients any more looks this often whether those of others still read what it
// fetches.
inline constexpr uint64_t kReadersLookMs = 100;

// A pattern of the configuration as it is written, and its program's steps once repetitions are
// written out. Reached: an error of the configuration.
inline constexpr size_t kRegexBytes = 1024;
inline constexpr size_t kRegexSteps = 5000;

// What one pattern may keep of what it learned from paths, and each member more of a set of them.
// Reached: it is forgotten, or the pattern is matched a slower way, still in linear time.
inline constexpr size_t kRegexMemoryBytes = 1 << 20;
inline constexpr size_t kRegexSetMemberBytes = 32 * 1024;

// Groups of a pattern that text may name: \1 to \9.
inline constexpr size_t kCapturesMax = 9;

// Time that the handshakes of new TLS clients may take of one iteration of a worker's loop.
// Reached: the next ones wait for the next iteration.
inline constexpr uint64_t kHandshakesUs = 2000;

// What is read of a client whose handshake waits for its turn. Reached: it is not read until then.
inline constexpr size_t kHandshakeHeldBytes = 16 * 1024;

// Records of TLS's own (alerts, key updates) that wait for a peer that does not read. Reached: the
// connection ends.
inline constexpr size_t kTlsPendingBytes = 64 * 1024;

// Work for the process's helper threads that waits for one of them: some seconds of it where each
// takes 100 ms. Reached: 503. How long a request waits for its own. Over: 503.
inline constexpr size_t kErrandsWaiting = 64;
inline constexpr uint64_t kErrandMs = 5000;
// Errands of one worker under way. Reached: 503.
inline constexpr size_t kErrandsMax = 1024;

// Passwords that were right, and how long they are known to be. More: some are checked again.
inline constexpr size_t kVerifiedPasswords = 8192;
inline constexpr uint64_t kVerifiedPasswordS = 60;

// A token that proves who sends a request. Longer: 401.
inline constexpr size_t kTokenBytes = 8192;
// Keys of tokens that cannot be fetched, or of which one is not known: asked for again after this,
// and where there are none at all.
inline constexpr uint64_t kJwksAgainMs = 30'000;
inline constexpr uint64_t kJwksFirstAgainMs = 1'000;
// The claims of a token, as text, with their names. What is more of them is not looked at.
inline constexpr size_t kClaimsBytes = 16 * 1024;
// Tokens that are known to hold, and how long at most. More: some are verified again.
inline constexpr size_t kVerifiedTokens = 32768;
inline constexpr uint64_t kVerifiedTokenS = 3600;
// Keys of all rate limits that something is known of at once, 16 bytes each. Reached: who has
// rested is forgotten, then who came only once (filters/rate_limit/table.h).
inline constexpr size_t kRateLimitKeys = 1 << 21;

// Requests of all rate limits that wait for their turn at once (delay). Reached: refused.
inline constexpr uint32_t kDelayedMax = 10'000;

// Limits that one request asks. More: an error of the configuration.
inline constexpr size_t kRateLimitsPerRoute = 8;

// How long a begun access log block waits for more lines.
inline constexpr uint64_t kLogTickMs = 200;

// An answer of Redis, in bytes of its texts and in values: nothing that weir asks gets more.
// Reached: the connection is closed.
inline constexpr size_t kRedisReplyBytes = 64 * 1024;
inline constexpr size_t kRedisReplyValues = 1024;

// Calls of one connection whose replies are due, and bytes of commands that Redis has not taken.
// Reached: who calls is told at once that Redis cannot be asked.
inline constexpr size_t kRedisCallsMax = 16 * 1024;
inline constexpr size_t kRedisUnsentBytes = 1 << 20;

// Misses in a row after which Redis is not asked until a trial was answered in time.
inline constexpr uint32_t kRedisMissesMax = 5;

// From the dial to the end of the first trial, for one address. Reached: the next one.
inline constexpr uint64_t kRedisConnectMs = 1000;

// How long Redis may be silent while replies are due. Reached: another connection is made.
inline constexpr uint64_t kRedisSilenceMs = 2000;

// Between two trials, and between two rounds along the addresses: twice as long each time.
inline constexpr uint64_t kRedisPauseMinMs = 50;
inline constexpr uint64_t kRedisPauseMaxMs = 2000;

// How often an instance says in Redis that it is there, and after which silence it is not counted.
inline constexpr uint64_t kRedisBeatMs = 1000;
inline constexpr uint64_t kRedisBeatGoneMs = 5000;
// More are no fleet, but somebody's writing into the key that counts them.
inline constexpr uint32_t kRedisInstancesMax = 10'000;

}  // namespace weir::limits
