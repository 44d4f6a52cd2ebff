//! Single values: durations, limits, addresses, networks, fingerprints, domains.
//!
//! Each function says in its error what was expected; the caller adds file, line, column and key.

use std::{net::IpAddr, time::Duration};

use jiff::SignedDuration;

use crate::{
    mail::Mailbox,
    policy::{self, Limit, OurServer, SettingsError},
};

/// A hundred years: longer is a typing error.
const LONGEST: u64 = 100 * 365 * 86400;

/// `"90s"`, `"15m"`, `"36h"`, `"3650d"`, `"0s"`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{text}` is not a duration; expected a number and a unit, such as \"90s\", \"15m\", \"36h\" or \"3d\"")
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)?;
    if seconds > LONGEST {
        Err(format!("`{text}` is longer than a hundred years"))
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// A duration for arithmetic with timestamps.
pub(super) fn signed_duration(text: &str) -> Result<SignedDuration, String> {
    duration(text).and_then(|it| SignedDuration::try_from(it).map_err(|error| error.to_string()))
}

/// A duration that may not be zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|it| if it.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(it) })
}

/// `"N/DURATION"` or `"off"`.
pub(super) fn limit(text: &str) -> Result<Limit, String> {
    if text == "off" {
        return Ok(Limit::Off);
    }
    let wrong = || format!("`{text}` is not a limit; expected \"NUMBER/DURATION\", such as \"10/1d\", or \"off\"");
    let (count, period) = text.split_once('/').ok_or_else(wrong)?;
    let count = count.trim().parse().map_err(|_| wrong())?;
    let period = signed_duration(period.trim()).map_err(|_| wrong())?;
    if period.is_zero() { Err(wrong()) } else { Ok(Limit::PerPeriod { count, period }) }
}

/// A mail address.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, String> {
    Mailbox::parse(text).ok_or_else(|| format!("`{text}` is not a mail address"))
}

/// `address`, or `Display Name <address>`.
pub(super) fn named_mailbox(text: &str) -> Result<(Option<String>, Mailbox), String> {
    let Some((name, address)) = text.rsplit_once('<') else { return Ok((None, mailbox(text)?)) };
    let address = address.trim().strip_suffix('>').ok_or_else(|| format!("`{text}`: the closing `>` is missing"))?;
    let name = name.trim().trim_matches('"').trim();
    if name.chars().any(char::is_control) {
        return Err("the display name holds a control character".to_owned());
    }
    Ok(((!name.is_empty()).then(|| name.to_owned()), mailbox(address)?))
}

/// A host name, `.domain` for all hosts below it, an address, or `address/length`.
pub(super) fn our_server(text: &str) -> Result<OurServer, String> {
    let wrong =
        || format!("`{text}` is neither a host name, a `.domain`, an IP address nor a network such as 203.0.113.0/24");
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    if let Ok(ip) = address.parse::<IpAddr>() {
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(most), str::parse::<u8>).map_err(|_| wrong())?;
        return if length <= most { Ok(OurServer::Network(ip, length)) } else { Err(wrong()) };
    }
    let name = text.trim_end_matches('.').to_lowercase();
    if length.is_none() && is_host_name(name.strip_prefix('.').unwrap_or(&name)) {
        Ok(OurServer::Name(name))
    } else {
        Err(wrong())
    }
}

/// Letters, digits, hyphens and dots, no empty label (RFC 1123 §2.1), or a U-label.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii() && c.is_alphanumeric())
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// A host: a name or an address.
pub fn host(text: &str) -> Result<String, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() || is_host_name(text) {
        return Ok(bare.to_owned());
    }
    if text.contains("://") || text.contains('/') {
        return Err(format!("`{text}` is not a host name; leave out what stands before and after it"));
    }
    if text.contains(':') {
        return Err(format!("`{text}` is not a host name; the port has a key of its own"));
    }
    Err(format!("`{text}` is not a host name"))
}

/// The SHA-256 of a certificate: 64 hexadecimal digits, colons allowed.
/// Hexadecimal digits, with colons or none; the whole line that openssl prints will do.
pub fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    let wrong = || format!("`{text}` is not a SHA-256 fingerprint; expected 64 hexadecimal digits, colons allowed");
    let digits = text.rsplit_once('=').map_or(text, |(_, digits)| digits);
    let text = digits.trim().trim_start_matches("sha256:").replace([':', ' '], "");
    let mut octets = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    for (index, octet) in octets.iter_mut().enumerate() {
        let digits = text.get(2 * index..2 * index + 2).ok_or_else(wrong)?;
        *octet = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
    }
    Ok(octets)
}

/// A mail domain of the company: not a wildcard, not a public suffix, not a public mail service.
pub fn domain(text: &str) -> Result<String, (String, String)> {
    let name = text.trim_end_matches('.').to_lowercase();
    let is_suffix =
        psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name.as_bytes());
    if is_suffix {
        let hint = "write the whole domain, like \"corp.example.cn\"";
        return Err((format!("`{text}` is a public suffix: anybody can register below it"), hint.to_owned()));
    }
    let sound = is_host_name(&name) || name.contains(['*', '@']);
    let checked = if sound { policy::check_domain(&name) } else { Err(SettingsError::NotADomain(text.to_owned())) };
    checked.map_err(|error| {
        let text = error.to_string();
        let (message, hint) = text.split_once("\n\nhint: ").unwrap_or((&text, ""));
        (message.to_owned(), hint.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("36h", 129_600), ("3650d", 315_360_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "5", "5 weeks", "-1s", "1.5h", "99999999999999999999d", "36501d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_are_a_number_in_a_time_or_off() {
        assert_eq!(limit("off"), Ok(Limit::Off));
        assert_eq!(limit("10/1d"), Ok(Limit::PerPeriod { count: 10, period: SignedDuration::from_hours(24) }));
        for text in ["", "10", "/1d", "10/", "-1/1d", "10/0s", "none"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_are_names_or_networks() {
        assert_eq!(our_server("MX.Example.cn"), Ok(OurServer::Name("mx.example.cn".into())));
        assert_eq!(our_server(".example.cn"), Ok(OurServer::Name(".example.cn".into())));
        assert_eq!(our_server("192.0.2.0/24"), Ok(OurServer::Network("192.0.2.0".parse().expect("an address"), 24)));
        assert_eq!(our_server("2001:db8::1"), Ok(OurServer::Network("2001:db8::1".parse().expect("an address"), 128)));
        for text in ["", ".", "192.0.2.0/33", "a b", "example.cn/24", "-x.example"] {
            assert!(our_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sender_may_have_a_name() {
        let (name, address) = named_mailbox("\"退信说明\" <explain@corp.example.cn>").expect("well formed");
        assert_eq!((name.as_deref(), address.to_string().as_str()), (Some("退信说明"), "explain@corp.example.cn"));
        assert_eq!(named_mailbox("<a@b.example>").map(|it| it.0), Ok(None));
        assert!(named_mailbox("A <a@b.example").is_err());
    }

    #[test]
    fn domains_are_the_company_s_own() {
        assert_eq!(domain("Corp.Example.CN."), Ok("corp.example.cn".to_owned()));
        for text in ["*", "*.example.cn", "qq.com", "com.cn", "a@b.example", "", "a..b"] {
            assert!(domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fingerprints_are_sha_256() {
        assert_eq!(fingerprint("AB:".repeat(32).trim_end_matches(':')), Ok([0xab; 32]));
        assert_eq!(fingerprint(&format!("sha256 Fingerprint={}", "AB".repeat(32))), Ok([0xab; 32]));
        assert!(fingerprint("ab").is_err() && fingerprint(&"é".repeat(32)).is_err());
    }
}
