//! Inside or outside mainland China, for `cross_border_filtering` (`design.md` §4).
//!
//! Data: `catalogue/ranges/cn.txt`. What an address says is only what its registry says; host
//! names say nothing, save those of providers that `systems.toml` knows.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::LazyLock,
};

use super::{Catalogue, Home};

/// Where a server stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whereabouts {
    Inside,
    Outside,
    Unknown,
}

/// Address ranges, sorted and disjoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u64, u64)]>,
}

impl Ranges {
    /// Reads `first last` lines; `#` begins a comment. The error is the number of the line that is neither.
    pub(super) fn parse(text: &str) -> Result<Self, usize> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            let wrong = number + 1;
            let (first, last) = line.split_once(' ').ok_or(wrong)?;
            if first.contains(':') {
                let read = |it: &str| it.parse::<Ipv6Addr>().map(prefix).map_err(|_| wrong);
                v6.push((read(first)?, read(last)?));
            } else {
                let read = |it: &str| it.parse::<Ipv4Addr>().map(u32::from).map_err(|_| wrong);
                v4.push((read(first)?, read(last)?));
            }
        }
        v4.sort_unstable();
        v6.sort_unstable();
        Ok(Self { v4: v4.into(), v6: v6.into() })
    }

    /// Where an address is registered; unknown for addresses that are nobody's in particular.
    pub(super) fn whereabouts(&self, ip: IpAddr) -> Whereabouts {
        let inside = match ip {
            IpAddr::V4(ip) if ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() => {
                return Whereabouts::Unknown;
            }
            IpAddr::V4(ip) => within(&self.v4, u32::from(ip)),
            IpAddr::V6(ip) if ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() => {
                return Whereabouts::Unknown;
            }
            IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
                Some(ip) => return self.whereabouts(IpAddr::V4(ip)),
                None => within(&self.v6, prefix(ip)),
            },
        };
        if inside { Whereabouts::Inside } else { Whereabouts::Outside }
    }
}

/// Registries give out nothing smaller than a /64.
fn prefix(ip: Ipv6Addr) -> u64 {
    u64::try_from(u128::from(ip) >> 64).unwrap_or(u64::MAX)
}

fn within<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after.checked_sub(1).and_then(|it| ranges.get(it)).is_some_and(|(_, last)| value <= *last)
}

/// The ranges that ship, read when they are first asked; a test reads them all.
static SHIPPED: LazyLock<Ranges> = LazyLock::new(|| {
    let text = crate::catalogue::file("ranges/cn.txt").unwrap_or_default();
    Ranges::parse(text).unwrap_or_default()
});

impl Catalogue {
    pub(super) fn ranges(&self) -> &Ranges {
        self.ranges.as_deref().unwrap_or(&SHIPPED)
    }

    /// Whether an address is registered in mainland China; `None` for addresses that are nobody's.
    #[must_use]
    pub fn is_in_mainland_china(&self, ip: IpAddr) -> Option<bool> {
        match self.ranges().whereabouts(ip) {
            Whereabouts::Inside => Some(true),
            Whereabouts::Outside => Some(false),
            Whereabouts::Unknown => None,
        }
    }
}

/// Where our side stands: as told (`--home-country`, `home_country`: a country code), else inside
/// only if the author's domain is under `.cn` or `.中国` (`design.md` §5).
#[must_use]
pub fn home_of(author_domain: Option<&str>, country: Option<&str>) -> Home {
    let inside = match country {
        Some(country) => country.trim().eq_ignore_ascii_case("CN"),
        None => author_domain.is_some_and(|it| {
            let top = it.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_lowercase();
            matches!(top.as_str(), "cn" | "中国" | "中國" | "xn--fiqs8s" | "xn--fiqz9s")
        }),
    };
    if inside { Home::MainlandChina } else { Home::Elsewhere }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_looked_up_by_registry() {
        let ranges = Ranges::parse(crate::catalogue::file("ranges/cn.txt").unwrap()).unwrap();
        let at = |ip: &str| ranges.whereabouts(ip.parse().unwrap());
        assert_eq!(at("1.0.1.0"), Whereabouts::Inside);
        assert_eq!(at("1.0.3.255"), Whereabouts::Inside);
        assert_eq!(at("1.0.4.0"), Whereabouts::Outside);
        assert_eq!(at("0.0.0.1"), Whereabouts::Outside);
        assert_eq!(at("240e::1"), Whereabouts::Inside);
        assert_eq!(at("2a00:1450::1"), Whereabouts::Outside);
        assert_eq!(at("::ffff:1.0.1.1"), Whereabouts::Inside);
        assert_eq!(at("10.0.0.1"), Whereabouts::Unknown);
        assert_eq!(Ranges::parse("1.2.3.4 what").unwrap_err(), 1);
    }

    #[test]
    fn home_is_inside_only_if_told_or_under_cn() {
        assert_eq!(home_of(Some("example.com"), Some("cn")), Home::MainlandChina);
        assert_eq!(home_of(Some("example.cn"), Some("DE")), Home::Elsewhere);
        assert_eq!(home_of(Some("example.com.cn"), None), Home::MainlandChina);
        assert_eq!(home_of(Some("例子.中国"), None), Home::MainlandChina);
        assert_eq!(home_of(Some("example.com"), None), Home::Elsewhere);
        assert_eq!(home_of(None, None), Home::Elsewhere);
    }

    #[test]
    fn ranges_can_be_refreshed_from_a_file() {
        let ip = "203.0.113.8".parse().unwrap();
        let shipped = Catalogue::embedded().unwrap();
        assert_eq!(shipped.is_in_mainland_china(ip), Some(false));
        let fresh = Catalogue::with_overlay(&[("cn-ranges.txt", "# fresh\n203.0.113.0 203.0.113.255\n")]).unwrap();
        assert_eq!(fresh.is_in_mainland_china(ip), Some(true));
        assert_eq!(fresh.is_in_mainland_china("1.0.1.0".parse().unwrap()), Some(false));
        let error = Catalogue::with_overlay(&[("cn-ranges.txt", "what\n")]).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("cn-ranges.txt", 1));
    }
}
