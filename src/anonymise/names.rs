//! Who is who: each address, host, IP address, id, name and subject with its stand-in, the same
//! wherever it occurs.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::LazyLock,
};

use crate::{
    bounce::{Bounce, Recognition},
    catalogue,
    diagnosis::{Catalogue, Home, home_of},
    mail::{Mail, Mailbox, MessageId, charset, header, mark},
};

/// Local parts that name an office and no person (RFC 2142 §5, RFC 5321 §4.5.5), and beginnings of such.
const OFFICES: &[&str] = &[
    "mailer-daemon",
    "mailerdaemon",
    "postmaster",
    "postmast",
    "hostmaster",
    "webmaster",
    "mail-daemon",
    "maildaemon",
    "mdaemon",
    "mail-delivery",
    "mail_delivery",
    "microsoftexchange",
    "system",
    "administrator",
    "admin",
    "root",
    "daemon",
    "uucp",
    "abuse",
    "support",
    "helpdesk",
    "service",
    "noreply",
    "no-reply",
    "no_reply",
    "donotreply",
    "do-not-reply",
    "bounce",
    "bounces",
    "nobody",
    "info",
    "notification",
    "notifications",
    "undisclosed-recipients",
];

/// Every letter-and-digit word of the catalogue, lower-cased: such a word is no name.
static VOCABULARY: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let knowledge = catalogue::FILES.iter().filter(|(path, _)| {
        ["causes/", "formats/", "codes/", "systems.toml", "facts.toml", "words/", "senders.toml"]
            .iter()
            .any(|it| path.starts_with(it))
    });
    let words = knowledge.flat_map(|(_, text)| text.split(|c: char| !c.is_alphanumeric()));
    words.map(str::to_lowercase).filter(|it| it.len() > 1).collect()
});

/// Domains that the catalogue names (providers, blocklists) or that everybody knows.
static KNOWN_DOMAINS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let words = catalogue::FILES
        .iter()
        .filter(|(path, _)| !path.starts_with("demo/") && !path.starts_with("ranges/"))
        .flat_map(|(_, text)| text.split(|c: char| !(c.is_alphanumeric() || "-._".contains(c))));
    let hosts = words.map(|it| it.trim_matches(['.', '-']).to_lowercase()).filter(|it| it.contains('.'));
    hosts.filter_map(|it| registrable(&it)).collect()
});

/// The part of a host name that somebody registered; `None` if its end is no known domain.
fn registrable(host: &str) -> Option<String> {
    let domain = psl::domain(host.as_bytes())?;
    domain.suffix().is_known().then(|| String::from_utf8_lossy(domain.as_bytes()).into_owned())
}

/// Stand-ins, made as they are asked for.
pub(super) struct Names {
    /// Lower-cased address → stand-in.
    addresses: HashMap<String, String>,
    /// Addresses that are stand-ins themselves, lower-cased.
    made: HashSet<String>,
    /// The message, lower-cased: no stand-in may stand in it by chance.
    source: String,
    /// Registrable domain → stand-in.
    domains: HashMap<String, String>,
    /// Whole host → stand-in of its first labels.
    labels: HashMap<String, String>,
    ips: HashMap<IpAddr, String>,
    ids: HashMap<String, String>,
    /// Names, subjects, bare local parts: as written → stand-in, the longest first.
    literals: Vec<(String, String)>,
    /// Suffixes of hosts that the systems of the catalogue are known by.
    suffixes: HashSet<String>,
}

impl Names {
    /// All names that the message tells as such. `bare`: words of names and local parts by
    /// themselves count too.
    pub(super) fn of(mail: &Mail, recognition: &Recognition, catalogue: &Catalogue, bare: bool) -> Self {
        let mut names = Self {
            addresses: HashMap::new(),
            made: HashSet::new(),
            source: charset::lossy(mail.source()).to_lowercase(),
            domains: HashMap::new(),
            labels: HashMap::new(),
            ips: HashMap::new(),
            ids: HashMap::new(),
            literals: Vec::new(),
            suffixes: catalogue.known_hosts().map(str::to_owned).collect(),
        };
        let mut people = People::default();
        people.of_mail(mail);
        match recognition {
            Recognition::Bounce(bounce) => people.of_bounce(bounce),
            Recognition::NotABounce(other) => other.quoted.iter().for_each(|it| people.of_bounce(it)),
        }
        for (address, name) in people.addresses {
            names.person(&address, name.as_deref(), bare);
        }
        for subject in people.subjects {
            names.subject(&subject);
        }
        names.literals.sort_by_key(|(it, _)| std::cmp::Reverse(it.len()));
        names.literals.dedup_by(|a, b| a.0 == b.0);
        names
    }

    /// Literal texts to be replaced and their stand-ins, the longest first.
    pub(super) fn literals(&self) -> &[(String, String)] {
        &self.literals
    }

    /// What must not be found in the result: addresses that were replaced, names and subjects.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let addresses =
            self.addresses.iter().filter(|(it, new)| !it.eq_ignore_ascii_case(new)).map(|(it, _)| it.as_str());
        addresses.chain(self.literals.iter().map(|(it, _)| it.as_str()))
    }

    /// An address, or whatever looks like one (a Message-ID).
    pub(super) fn address(&mut self, address: &str) -> String {
        let lower = address.to_lowercase();
        if let Some(known) = self.addresses.get(&lower) {
            return known.clone();
        }
        if self.made.contains(&lower) {
            return address.to_owned(); // a name that is an address is rewritten twice
        }
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let first = self.addresses.len() + 1;
        let number = (first..first + 1000).find(|it| !self.source.contains(&format!("u{it}@"))).unwrap_or(first);
        let ours = MessageId::parse(address).is_some_and(|it| mark::is_our_message_id(&it));
        let local = if is_office(local) || ours { local.to_owned() } else { format!("u{number}") };
        let domain = self.domain(domain);
        let stand_in = format!("{local}@{domain}");
        self.made.insert(stand_in.to_lowercase());
        self.addresses.insert(lower, stand_in.clone());
        stand_in
    }

    /// A mailbox of a report.
    pub(super) fn mailbox(&self, mailbox: &Mailbox) -> Option<&str> {
        self.addresses.get(&mailbox.to_string().to_lowercase()).map(String::as_str)
    }

    /// A host name; one whose end is no known domain stays.
    pub(super) fn host(&mut self, host: &str) -> String {
        let lower = host.to_lowercase();
        if let Some(suffix) = self.suffix(&lower) {
            let labels = lower.strip_suffix(&suffix).unwrap_or_default().trim_end_matches('.').to_owned();
            let anonymous = labels.is_empty() || labels.split(['.', '-']).all(is_plain_label);
            return if anonymous { host.to_owned() } else { format!("{}.{suffix}", self.label(&lower)) };
        }
        let Some(domain) = registrable(&lower) else { return host.to_owned() };
        let stand_in = self.stand_in(&domain);
        if lower == domain { stand_in } else { format!("{}.{stand_in}", self.label(&lower)) }
    }

    /// The domain of an address: without host labels, so that it stays what it was to the domain.
    fn domain(&mut self, domain: &str) -> String {
        if domain.parse::<IpAddr>().is_ok() || domain.starts_with('[') || domain.is_empty() {
            return domain.to_owned();
        }
        if registrable(&domain.to_lowercase()).is_none() && domain.contains('.') && domain.is_ascii() {
            let label = self.label(&domain.to_lowercase());
            return format!("{label}.example.net");
        }
        self.host(domain)
    }

    /// The end of a host that the catalogue knows.
    fn suffix(&self, host: &str) -> Option<String> {
        let dots = std::iter::once(0).chain(host.match_indices('.').map(|(at, _)| at + 1));
        let ends = dots.filter_map(|at| host.get(at..));
        let known = ends.clone().find(|it| self.suffixes.contains(*it));
        known.map(str::to_owned).or_else(|| registrable(host).filter(|it| KNOWN_DOMAINS.contains(it)))
    }

    /// `d1.example.com`; under `.cn` for one that is, for that says where our side stands.
    fn stand_in(&mut self, domain: &str) -> String {
        let number = self.domains.len() + 1;
        let inside = home_of(Some(domain), None) == Home::MainlandChina;
        let made = format!("d{number}.example.{}", if inside { "cn" } else { "com" });
        self.domains.entry(domain.to_owned()).or_insert(made).clone()
    }

    pub(super) fn label(&mut self, host: &str) -> String {
        let number = self.labels.len() + 1;
        self.labels.entry(host.to_owned()).or_insert_with(|| format!("h{number}")).clone()
    }

    /// An IP address: to one of the same kind and, as far as can be, the same place.
    pub(super) fn ip(&mut self, ip: IpAddr, inside: bool) -> String {
        let number = self.ips.len() % 250 + 1;
        let keep = ip.is_loopback() || ip.is_unspecified();
        let made = match ip {
            _ if keep => ip.to_string(),
            IpAddr::V4(ip) if ip.is_private() => format!("10.0.0.{number}"),
            IpAddr::V4(_) if inside => format!("1.0.1.{number}"),
            IpAddr::V4(_) => format!("192.0.2.{number}"),
            IpAddr::V6(_) if inside => format!("240e::{number:x}"),
            IpAddr::V6(_) => format!("2001:db8::{number:x}"),
        };
        self.ips.entry(ip).or_insert(made).clone()
    }

    /// A queue id, session id or token.
    pub(super) fn id(&mut self, id: &str) -> String {
        if VOCABULARY.contains(&id.to_lowercase()) {
            return id.to_owned();
        }
        let number = self.ids.len() + 1;
        self.ids.entry(id.to_owned()).or_insert_with(|| format!("ID{number:04}X")).clone()
    }

    fn person(&mut self, address: &str, name: Option<&str>, bare: bool) {
        let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let stand_in = self.address(address);
        if !address.is_ascii() {
            self.literals.push((address.to_owned(), stand_in.clone()));
        }
        if is_office(local) {
            return;
        }
        if bare && is_name(local) {
            let new = stand_in.split('@').next().unwrap_or_default().to_owned();
            self.literals.push((local.to_owned(), new));
        }
        // The company's name is most often its domain's.
        let company = registrable(&domain.to_lowercase()).filter(|it| self.suffix(it).is_none());
        let company = company.as_deref().and_then(|it| it.split('.').next()).filter(|it| bare && is_name(it));
        if let Some(company) = company {
            self.literals.push((company.to_owned(), "example".to_owned()));
        }
        let Some(name) = name.map(str::trim).filter(|it| it.chars().count() > 1 && !it.contains('@')) else { return };
        let number = self.addresses.len();
        let words: Vec<&str> =
            name.split(|c: char| c.is_whitespace() || c == ',').filter(|it| !it.is_empty()).collect();
        if !is_personal(name) {
            return;
        }
        let new = if name.is_ascii() { format!("Person {number}") } else { format!("某人{number}") };
        self.literals.push((name.to_owned(), new.clone()));
        for word in words.into_iter().filter(|it| bare && is_name(it)) {
            self.literals.push((word.to_owned(), if word.is_ascii() { "Person".to_owned() } else { new.clone() }));
        }
    }

    fn subject(&mut self, subject: &str) {
        let plain = subject.trim();
        let known = plain.split(|c: char| !c.is_alphanumeric()).all(|it| VOCABULARY.contains(&it.to_lowercase()));
        let least = if plain.is_ascii() { 4 } else { 2 };
        if plain.chars().count() < least || known && !plain.contains(' ') {
            return;
        }
        let number = self.literals.len() + 1;
        let new = if plain.is_ascii() { format!("Subject {number}") } else { format!("主题{number}") };
        self.literals.push((plain.to_owned(), new));
    }
}

/// An office, alone or with a tag (`bounces+x`, `postmaster-7`).
pub(super) fn is_office(local: &str) -> bool {
    let local = local.to_ascii_lowercase();
    let local = local.trim_matches('"');
    OFFICES.contains(&local) || local.starts_with("microsoftexchange")
}

/// Not "Mail Delivery System": some word of it is none of the servers' own.
pub(super) fn is_personal(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|it| !it.is_empty());
    words.any(|it| !VOCABULARY.contains(&it.to_lowercase()))
}

/// Long enough for a name, and no word of the servers' own.
fn is_name(word: &str) -> bool {
    let least = if word.is_ascii() { 3 } else { 2 };
    word.chars().count() >= least
        && word.chars().any(char::is_alphabetic)
        && !VOCABULARY.contains(&word.to_lowercase())
        && !word.to_lowercase().split(|c: char| !c.is_alphanumeric()).all(|it| VOCABULARY.contains(it))
}

/// `mx3`, `mail`, `smtp-in`, `am6eur05on2070`: a number of a farm, nobody's name.
fn is_plain_label(label: &str) -> bool {
    let letters = label.trim_matches(|c: char| c.is_ascii_digit());
    letters.len() <= 2
        || VOCABULARY.contains(letters)
        || label.bytes().filter(u8::is_ascii_digit).count() >= 3
        || ["mx", "mail", "smtp", "out", "in", "relay", "gateway", "outbound", "inbound"].contains(&letters)
}

/// Addresses with their names, and subjects, of all messages within one.
#[derive(Default)]
struct People {
    addresses: Vec<(String, Option<String>)>,
    subjects: Vec<String>,
}

impl People {
    fn of_mail(&mut self, mail: &Mail) {
        let outermost = mail.depth() == 0;
        for field in mail.headers().iter() {
            match field.name.to_ascii_lowercase().as_str() {
                "from"
                | "to"
                | "cc"
                | "bcc"
                | "sender"
                | "reply-to"
                | "return-path"
                | "delivered-to"
                | "errors-to"
                | "x-original-to"
                | "envelope-to"
                | "disposition-notification-to"
                | "x-failed-recipients" => {
                    let found = header::addresses(field.value);
                    self.addresses.extend(found.into_iter().map(|(name, it)| (it.to_string(), name)));
                }
                // The outermost subject is the notice's own, most often.
                "subject" | "thread-topic" if !outermost => self.subject(field.value),
                _ => {}
            }
        }
        for part in mail.parts().iter().skip(1) {
            let kind = part.content_type();
            if kind.starts_with("message/") && !kind.contains("delivery") || kind.ends_with("rfc822-headers") {
                part.message().into_iter().for_each(|it| self.of_mail(it));
            }
        }
    }

    fn of_bounce(&mut self, bounce: &Bounce) {
        for it in &bounce.recipients {
            let named = [Some(&it.final_recipient), it.original_recipient.as_ref()];
            self.addresses.extend(named.into_iter().flatten().map(|it| (it.to_string(), None)));
        }
        if let Some(original) = &bounce.original {
            let from = original.from.iter().map(|it| (it.to_string(), original.from_name.clone()));
            self.addresses.extend(from);
            self.addresses.extend(original.to.iter().map(|it| (it.to_string(), None)));
            original.subject.iter().for_each(|it| self.subject(it));
        }
    }

    /// The subject, and what stands behind `Re:` and the like in it.
    fn subject(&mut self, subject: &str) {
        let mut rest = subject.trim();
        loop {
            self.subjects.push(rest.to_owned());
            match rest.split_once([':', '：']) {
                Some((prefix, after)) if prefix.chars().count() <= 4 => rest = after.trim(),
                _ => return,
            }
        }
    }
}
