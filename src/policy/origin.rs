//! Grounds of origin: what speaks for our having sent the original (`design.md` §3).
//!
//! A forged sender makes honest servers send us bounces of mail we never wrote. Nothing here
//! proves; each ground is named in the journal, and `policy.proof` says how much is asked for.

use std::net::IpAddr;

use super::{Candidate, Ground, History, OurServer, Proof, Settings};
use crate::{
    bounce::{Bounce, Envelope},
    mail::Role,
};

/// All grounds that hold for an original that came back by itself.
pub(super) fn grounds(
    settings: &Settings,
    role: &Role,
    bounce: &Bounce,
    candidate: &Candidate,
    history: &History,
) -> Vec<Ground> {
    let mut grounds = Vec::new();
    if settings.proof == Proof::None {
        grounds.push(Ground::NoProofAsked);
    }
    if candidate.author.is_some() && history.journal_knows_original {
        grounds.push(Ground::JournalKnows);
    }
    if candidate.author.is_some() && history.found_in_sent {
        grounds.push(Ground::FoundInSent);
    }
    if settings.proof == Proof::Verified {
        return grounds;
    }
    let mut received = bounce.original.iter().flat_map(|it| &it.received);
    grounds.extend(received.find_map(|line| our_line(settings, line)).map(Ground::ReceivedByOurServer));
    if let Some(mta) = bounce.reporting_mta.as_deref().filter(|mta| is_our_host(settings, mta)) {
        grounds.push(Ground::ReportedByOurServer(mta.to_owned()));
    }
    if passes_for_us(settings, &bounce.envelope) {
        grounds.push(Ground::AuthenticationResults);
    }
    let right = candidate.original.as_ref().and_then(|id| id.as_str().rsplit_once('@'));
    if right.is_some_and(|(_, domain)| is_our_domain(settings, domain)) {
        grounds.push(Ground::MessageIdOfOurDomain);
    }
    if bounce.original.is_none() && matches!(role, Role::Member(_)) {
        grounds.push(Ground::OwnInbox);
    }
    grounds
}

/// Whether our own server vouches for the sender of a forwarding mail (`design.md` §2.3): the
/// topmost Authentication-Results is ours and passes for the sender's domain, or our servers took
/// the mail from an authenticated client or from inside.
pub(super) fn vouches(settings: &Settings, envelope: &Envelope) -> bool {
    let Some(from) = &envelope.from else { return false };
    // Only the topmost field is sure to be written by the server that delivered to us (RFC 8601 §5).
    let results = envelope.authentication_results.first().is_some_and(|field| {
        is_our_authority(settings, field)
            && (method_passes(field, "auth")
                || passing_domains(field).any(|domain| domain.eq_ignore_ascii_case(from.domain())))
    });
    results || internal(settings, &envelope.received)
}

/// From the top, as long as our own servers wrote the lines: one of them took the mail by
/// authenticated submission (RFC 3848), or from one of our networks.
fn internal(settings: &Settings, received: &[String]) -> bool {
    for line in received {
        if !by_host(line).is_some_and(|by| is_our_host(settings, by)) {
            return false;
        }
        let with = words_after(line, "with").unwrap_or_default().to_ascii_uppercase();
        let authenticated =
            matches!(with.as_str(), "ESMTPA" | "ESMTPSA" | "LMTPA" | "LMTPSA" | "UTF8SMTPA" | "UTF8SMTPSA");
        if authenticated || client_address(line).is_some_and(|ip| in_our_networks(settings, ip)) {
            return true;
        }
        let from_ours = words_after(line, "from").is_some_and(|from| is_our_host(settings, &from));
        if !from_ours && !with.contains("LMTP") {
            return false;
        }
    }
    false
}

/// The host or address in a Received line that is ours.
fn our_line(settings: &Settings, line: &str) -> Option<String> {
    let by = by_host(line).filter(|by| is_our_host(settings, by)).map(str::to_owned);
    by.or_else(|| client_address(line).filter(|ip| in_our_networks(settings, *ip)).map(|ip| ip.to_string()))
}

/// RFC 8601 §2.3: the authserv-id is one of our servers, or a host below one of our domains.
fn is_our_authority(settings: &Settings, field: &str) -> bool {
    let id = field.trim_start().split([';', ' ', '\t']).next().unwrap_or_default();
    is_our_host(settings, id) || is_our_domain(settings, id)
}

/// A pass in a field of ours, and for one of our own: a stranger's honest server passes as well
/// when it returns forged mail to us.
fn passes_for_us(settings: &Settings, envelope: &Envelope) -> bool {
    envelope.authentication_results.first().is_some_and(|field| {
        is_our_authority(settings, field)
            && passing_domains(field).any(|domain| is_our_domain(settings, domain) || is_our_host(settings, domain))
    })
}

/// The domains for which SPF, DKIM or DMARC passed in one Authentication-Results field.
fn passing_domains(field: &str) -> impl Iterator<Item = &str> {
    field
        .split(';')
        .skip(1)
        .filter(|result| ["spf", "dkim", "dmarc"].iter().any(|it| method_passes(result, it)))
        .flat_map(|result| {
            result.split_whitespace().filter_map(|word| {
                let (property, value) = word.split_once('=')?;
                let known = ["header.d", "header.i", "header.from", "smtp.mailfrom", "smtp.helo"];
                known.contains(&property).then(|| value.rsplit('@').next().unwrap_or(value).trim_matches('"'))
            })
        })
}

fn method_passes(field: &str, method: &str) -> bool {
    field.split([';', ' ', '\t']).any(|word| {
        word.split_once('=')
            .is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case(method) && value.eq_ignore_ascii_case("pass"))
    })
}

fn is_our_host(settings: &Settings, host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    let literal = host.trim_start_matches('[').trim_end_matches(']').trim_start_matches("ipv6:").parse::<IpAddr>();
    settings.our_servers.iter().any(|server| match server {
        OurServer::Name(name) if name.starts_with('.') => host.ends_with(name.as_str()),
        OurServer::Name(name) => host == *name,
        OurServer::Network(..) => literal.as_ref().is_ok_and(|ip| in_network(server, *ip)),
    })
}

/// One of our domains or a host below one: machines name themselves so in ids.
fn is_our_domain(settings: &Settings, name: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    settings
        .domains
        .iter()
        .any(|domain| name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

fn in_our_networks(settings: &Settings, ip: IpAddr) -> bool {
    settings.our_servers.iter().any(|server| in_network(server, ip))
}

fn in_network(server: &OurServer, ip: IpAddr) -> bool {
    let OurServer::Network(network, prefix) = server else { return false };
    match (network, ip.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            let shift = 32_u32.saturating_sub(u32::from(*prefix));
            (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => {
            let shift = 128_u32.saturating_sub(u32::from(*prefix));
            (network.to_bits() ^ ip.to_bits()).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn by_host(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.find(|word| word.eq_ignore_ascii_case("by"))?;
    words.next().map(|word| word.trim_end_matches(';'))
}

fn words_after(line: &str, keyword: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    words.find(|word| word.eq_ignore_ascii_case(keyword))?;
    words.next().map(|word| word.trim_end_matches(';').to_owned())
}

/// The client's address as the receiving server saw it: in brackets, before `by` (RFC 5321 §4.4).
fn client_address(line: &str) -> Option<IpAddr> {
    let from = line.split(" by ").next()?;
    let inside = from.rsplit_once('[')?.1.split_once(']')?.0;
    let inside = inside.strip_prefix("IPv6:").unwrap_or(inside);
    inside.parse().ok()
}
