#include "filters/security_sets.h"

namespace weir::filters {

namespace {

constexpr SecurityMode kOverride = SecurityMode::kOverride;
constexpr SecurityMode kSetIfAbsent = SecurityMode::kSetIfAbsent;

// Where the application knows its own pages better than the edge does, what it says stays.
constexpr SecurityPreset kStandard[] = {
    // A year of https only: no first request in the clear that somebody could answer instead.
    {"Strict-Transport-Security", kOverride, "max-age=31536000; includeSubDomains"},
    // A browser that guesses types runs uploads as scripts.
    {"X-Content-Type-Options", kOverride, "nosniff"},
    // No page of another site puts this one in a frame and has its users click into it.
    {"X-Frame-Options", kOverride, "DENY"},
    // Other sites learn from where users come, not from which page with which query.
    {"Referrer-Policy", kOverride, "strict-origin-when-cross-origin"},
    // Not even a script that got in asks for them.
    {"Permissions-Policy", kOverride, "geolocation=(), microphone=(), camera=()"},
    // The filter that it switched on in old browsers could be made to leak; 0 is off.
    {"X-XSS-Protection", kOverride, "0"},
    // No policy files of Flash and PDF readers for other sites.
    {"X-Permitted-Cross-Domain-Policies", kOverride, "none"},
    // As much of a policy as holds for any page: no plugins, no frames, no <base> that leads away.
    {"Content-Security-Policy", kSetIfAbsent,
     "base-uri 'self'; object-src 'none'; frame-ancestors 'none'"},
    // Windows that other sites opened cannot reach into these; those that these open, can.
    {"Cross-Origin-Opener-Policy", kSetIfAbsent, "same-origin-allow-popups"},
    // Nor are pictures and data loaded into other sites' processes without their asking by CORS.
    {"Cross-Origin-Resource-Policy", kSetIfAbsent, "same-site"},
};

// Cross-Origin-Embedder-Policy is in none: it would forbid the images that the policy allows.
constexpr SecurityPreset kStrict[] = {
    {"Strict-Transport-Security", kOverride, "max-age=63072000; includeSubDomains"},
    {"X-Content-Type-Options", kOverride, "nosniff"},
    {"X-Frame-Options", kOverride, "DENY"},
    {"Referrer-Policy", kOverride, "no-referrer"},
    {"Permissions-Policy", kOverride,
     "geolocation=(), microphone=(), camera=(), accelerometer=(), autoplay=(), "
     "display-capture=(), encrypted-media=(), fullscreen=(), gyroscope=(), magnetometer=(), "
     "midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), sync-xhr=(), "
     "usb=(), xr-spatial-tracking=()"},
    {"X-XSS-Protection", kOverride, "0"},
    {"X-Permitted-Cross-Domain-Policies", kOverride, "none"},
    {"Content-Security-Policy", kOverride,
     "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; "
     "connect-src 'self'; font-src 'self'; object-src 'none'; media-src 'self'; frame-src 'none'"},
    {"Cross-Origin-Opener-Policy", kOverride, "same-origin"},
    {"Cross-Origin-Resource-Policy", kOverride, "same-origin"},
    // A process of its own, so that no other origin of the site shares its memory.
    {"Origin-Agent-Cluster", kOverride, "?1"},
    // Names of links are not looked up before they are followed.
    {"X-DNS-Prefetch-Control", kOverride, "off"},
};

constexpr const char* kTelltales[] = {"Server", "X-Powered-By", "X-AspNet-Version",
                                      "X-AspNetMvc-Version"};

}  // namespace

std::span<const SecurityPreset> standard_set() { return kStandard; }
std::span<const SecurityPreset> strict_set() { return kStrict; }
std::span<const char* const> telltale_fields() { return kTelltales; }

}  // namespace weir::filters
