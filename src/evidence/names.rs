//! Which names and addresses may be asked of a public server, and under what name. Pure.
//!
//! Names come out of hostile mail: what is no public name is never asked, what is no public
//! address is never looked up on a list nor connected to.

use std::net::{IpAddr, Ipv6Addr};

/// Names that mean something only at home, or nothing anywhere (RFC 6761 §6, RFC 6762 §3,
/// RFC 8375 §4, RFC 7686 §1); and the reverse tree, of which only our own questions are asked.
const NOT_PUBLIC: &[&str] =
    &["localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "onion", "invalid", "test", "arpa"];

/// The A-label form of a name that may be asked of a public resolver, without the final dot; or
/// why not: address literals, single labels, reserved names and names that no DNS holds.
pub(super) fn askable(name: &str) -> Result<String, &'static str> {
    // Longer than any U-label form of a name can be: spare the conversion.
    if name.len() > 1024 {
        return Err("not a domain name");
    }
    let ascii = idna::domain_to_ascii(name).map_err(|_| "not a domain name")?;
    let name = ascii.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    let top = labels.last().copied().unwrap_or_default();
    if name.len() > 253 || labels.len() > 20 || labels.iter().any(|label| label.is_empty() || label.len() > 63) {
        return Err("not a domain name");
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err("not a domain name");
    }
    if labels.len() < 2 || top.bytes().all(|b| b.is_ascii_digit()) || NOT_PUBLIC.contains(&top) {
        return Err("not a public name");
    }
    Ok(name.to_owned())
}

/// Whether an address is somebody's on the internet: not private, local, shared or multicast.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            // RFC 6598 §7: shared between a carrier and its customers.
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || shared)
                && a != 0
                && a < 240
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_multicast())
        }
    }
}

/// The name whose PTR record belongs to an address, without the final dot (RFC 1035 §3.5,
/// RFC 3596 §2.5).
#[must_use]
pub fn reverse_name(ip: IpAddr) -> String {
    let tree = match ip {
        IpAddr::V4(_) => "in-addr.arpa",
        IpAddr::V6(_) => "ip6.arpa",
    };
    format!("{}.{tree}", reversed(ip))
}

/// The name under which a list keeps an address (RFC 5782 §2.1, §2.4).
pub(super) fn listed_name(ip: IpAddr, zone: &str) -> String {
    format!("{}.{zone}", reversed(ip))
}

fn reversed(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(ip) => {
            let mut nibbles = nibbles(ip);
            nibbles.reverse();
            nibbles.join(".")
        }
    }
}

/// The 32 hexadecimal digits of an address, most significant first.
pub(super) fn nibbles(ip: Ipv6Addr) -> Vec<String> {
    ip.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]).map(|it| format!("{it:x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_not_asked() {
        for name in [
            "localhost",
            "a",
            "127.0.0.1",
            "10.0.0.1",
            "[203.0.113.9]",
            "x.local",
            "x.test",
            "4.3.2.1.in-addr.arpa",
            "",
            "a..b",
            &"a.b.c".repeat(100),
            &"a.".repeat(100),
            &"a".repeat(300),
            &"例.".repeat(400),
            "bad name.com",
            "a\u{0}b.com",
        ] {
            assert!(askable(name).is_err(), "{name}");
        }
        assert_eq!(askable("例子.中国").as_deref(), Ok("xn--fsqu00a.xn--fiqs8s"));
        assert_eq!(askable("Buyer.Example.CN.").as_deref(), Ok("buyer.example.cn"));
        assert_eq!(askable("_dmarc.corp.example.cn").as_deref(), Ok("_dmarc.corp.example.cn"));
    }

    #[test]
    fn private_addresses_are_nobodys() {
        for ip in [
            "10.0.0.1",
            "127.0.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_public(ip.parse().expect("an address")), "{ip}");
        }
        assert!(is_public("203.0.113.8".parse().expect("an address")));
        assert!(is_public("2001:db8::25".parse().expect("an address")));
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(reverse_name("203.0.113.8".parse().expect("an address")), "8.113.0.203.in-addr.arpa");
        assert_eq!(listed_name("203.0.113.8".parse().expect("an address"), "bl.example"), "8.113.0.203.bl.example");
        let six = reverse_name("2001:db8::25".parse().expect("an address"));
        assert_eq!(six, format!("5.2.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(22)));
    }
}
