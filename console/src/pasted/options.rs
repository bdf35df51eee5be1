//! The options of curl, by what they mean for a request (curl 8's manual).

/// What an option means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// `-H`: a header.
    Header,
    /// `-b`: cookies.
    Cookie,
    /// `-X`: the method.
    Method,
    /// `--url`.
    Url,
    /// `--request-target`: the path and the query as they are sent.
    Target,
    /// `-A`: the header `User-Agent`.
    Agent,
    /// `-e`: the header `Referer`.
    Referer,
    /// `-u`: the header `Authorization`, `Basic`.
    User,
    /// `--oauth2-bearer`: the header `Authorization`, `Bearer`.
    Bearer,
    /// `-r`: the header `Range`.
    Range,
    /// `-d` and the like: a body.
    Data,
    /// `--data-raw`: a body, in which `@` is a letter.
    RawData,
    /// `--data-urlencode`: a body that is encoded.
    EncodedData,
    /// `--json`: a body with two headers.
    Json,
    /// `--url-query`: more of the query.
    UrlQuery,
    /// `-F`: a form.
    Form,
    /// `-T`: a file is sent.
    Upload,
    /// `-G`: the body is the query.
    Get,
    /// `-I`.
    Head,
    /// `--next`: another request follows.
    Next,
    /// `-K`: more options are in a file.
    Config,
    /// It has a value and says nothing of what is asked.
    Value,
    /// It has no value and says nothing of what is asked.
    Flag,
}

impl Meaning {
    /// Whether a value follows.
    #[must_use]
    pub fn has_value(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::Next | Self::Flag)
    }
}

/// The meaning of a letter behind one `-`.
#[must_use]
pub fn short(letter: char) -> Meaning {
    match letter {
        'H' => Meaning::Header,
        'b' => Meaning::Cookie,
        'X' => Meaning::Method,
        'A' => Meaning::Agent,
        'e' => Meaning::Referer,
        'u' => Meaning::User,
        'r' => Meaning::Range,
        'd' => Meaning::Data,
        'F' => Meaning::Form,
        'T' => Meaning::Upload,
        'G' => Meaning::Get,
        'I' => Meaning::Head,
        ':' => Meaning::Next,
        'K' => Meaning::Config,
        'C' | 'D' | 'E' | 'P' | 'Q' | 'U' | 'Y' | 'c' | 'h' | 'm' | 'o' | 't' | 'w' | 'x' | 'y' | 'z' => Meaning::Value,
        _ => Meaning::Flag,
    }
}

/// The meaning of a name behind `--`. What is not known is taken as one without a value.
#[must_use]
pub fn long(name: &str) -> Meaning {
    match name {
        "header" => Meaning::Header,
        "cookie" => Meaning::Cookie,
        "request" => Meaning::Method,
        "url" => Meaning::Url,
        "request-target" => Meaning::Target,
        "user-agent" => Meaning::Agent,
        "referer" => Meaning::Referer,
        "user" => Meaning::User,
        "oauth2-bearer" => Meaning::Bearer,
        "range" => Meaning::Range,
        "data" | "data-ascii" | "data-binary" => Meaning::Data,
        "data-raw" => Meaning::RawData,
        "data-urlencode" => Meaning::EncodedData,
        "json" => Meaning::Json,
        "url-query" => Meaning::UrlQuery,
        "form" | "form-string" => Meaning::Form,
        "upload-file" => Meaning::Upload,
        "get" => Meaning::Get,
        "head" => Meaning::Head,
        "next" => Meaning::Next,
        "config" => Meaning::Config,
        name if VALUES.contains(&name) => Meaning::Value,
        _ => Meaning::Flag,
    }
}

/// All others that have a value.
#[rustfmt::skip]
const VALUES: [&str; 120] = [
    "abstract-unix-socket", "alt-svc", "aws-sigv4", "cacert", "capath", "cert", "cert-type", "ciphers", "connect-timeout", "connect-to",
    "continue-at", "cookie-jar", "create-file-mode", "crlfile", "curves", "delegation", "dns-interface", "dns-ipv4-addr", "dns-ipv6-addr",
    "dns-servers", "doh-url", "dump-header", "ech", "egd-file", "engine", "etag-compare", "etag-save", "expect100-timeout", "ftp-account",
    "ftp-alternative-to-user", "ftp-method", "ftp-port", "ftp-ssl-ccc-mode", "happy-eyeballs-timeout-ms", "haproxy-clientip", "help",
    "hostpubmd5", "hostpubsha256", "hsts", "interface", "ip-tos", "ipfs-gateway", "keepalive-cnt", "keepalive-time", "key", "key-type", "krb",
    "libcurl", "limit-rate", "local-port", "login-options", "mail-auth", "mail-from", "mail-rcpt", "max-filesize", "max-redirs", "max-time",
    "netrc-file", "noproxy", "output", "output-dir", "parallel-max", "pass", "pinnedpubkey", "preproxy", "proto", "proto-default",
    "proto-redir", "proxy", "proxy-cacert", "proxy-capath", "proxy-cert", "proxy-cert-type", "proxy-ciphers", "proxy-crlfile",
    "proxy-header", "proxy-key", "proxy-key-type", "proxy-pass", "proxy-pinnedpubkey", "proxy-service-name", "proxy-tls13-ciphers",
    "proxy-tlsauthtype", "proxy-tlspassword", "proxy-tlsuser", "proxy-user", "proxy1.0", "pubkey", "quote", "random-file", "rate",
    "resolve", "retry", "retry-delay", "retry-max-time", "sasl-authzid", "service-name", "socks4", "socks4a", "socks5",
    "socks5-gssapi-service", "socks5-hostname", "speed-limit", "speed-time", "stderr", "telnet-option", "tftp-blksize", "time-cond",
    "tls-max", "tls13-ciphers", "tlsauthtype", "tlspassword", "tlsuser", "trace", "trace-ascii", "trace-config", "unix-socket", "variable",
    "vlan-priority", "write-out",
];
