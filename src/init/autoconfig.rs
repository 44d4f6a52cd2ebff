//! Thunderbird's autoconfig file: which servers a domain names in `config-v1.1.xml`. Pure.
//!
//! Of the format only what is needed is read, by its tags: no entities beyond the five, no
//! namespaces. The file comes from outside, so everything in it must still pass `Server::parse`.

use super::Server;
use crate::net::TlsMode;

/// IMAP and submission server that the file names first.
pub(super) fn read(xml: &str, domain: &str) -> (Option<Server>, Option<Server>) {
    (server(xml, "incomingServer", "imap", domain), server(xml, "outgoingServer", "smtp", domain))
}

fn server(xml: &str, tag: &str, kind: &str, domain: &str) -> Option<Server> {
    let mut rest = xml;
    while let Some(at) = rest.find(&format!("<{tag} ")) {
        rest = rest.get(at..)?;
        let end = rest.find(&format!("</{tag}>"))?;
        let (element, after) = rest.split_at(end);
        let opening = element.split('>').next().unwrap_or_default();
        let is_kind = [format!("\"{kind}\""), format!("'{kind}'")].iter().any(|it| opening.contains(it.as_str()));
        if is_kind && let Some(found) = one(element, domain) {
            return Some(found);
        }
        rest = after;
    }
    None
}

/// One element; a server without TLS is passed over.
fn one(element: &str, domain: &str) -> Option<Server> {
    let host = text(element, "hostname")?.replace("%EMAILDOMAIN%", domain);
    let port: u16 = text(element, "port")?.parse().ok()?;
    let tls = match text(element, "socketType")?.to_ascii_uppercase().as_str() {
        "SSL" | "TLS" => TlsMode::Implicit,
        "STARTTLS" => TlsMode::StartTls,
        _ => return None,
    };
    let server = Server::parse(&format!("{host}:{port}"), port).ok()?;
    Some(Server { tls, ..server })
}

fn text<'a>(element: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = element.split_once(&format!("<{tag}>"))?;
    rest.split_once('<').map(|(text, _)| text.trim()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_encrypted_servers_are_taken() {
        let xml = r#"<clientConfig version="1.1"><emailProvider id="x">
            <incomingServer type="pop3"><hostname>pop.example.cn</hostname><port>995</port><socketType>SSL</socketType></incomingServer>
            <incomingServer type="imap"><hostname>imap.example.cn</hostname><port>143</port><socketType>plain</socketType></incomingServer>
            <incomingServer type="imap"><hostname>imap.%EMAILDOMAIN%</hostname><port> 993 </port><socketType>SSL</socketType></incomingServer>
            <outgoingServer type="smtp"><hostname>smtp.example.cn</hostname><port>587</port><socketType>STARTTLS</socketType></outgoingServer>"#;
        let (imap, smtp) = read(xml, "corp.example.cn");
        let imap = imap.expect("an IMAP server");
        assert_eq!((imap.place().as_str(), imap.tls), ("imap.corp.example.cn:993", TlsMode::Implicit));
        let smtp = smtp.expect("a submission server");
        assert_eq!((smtp.place().as_str(), smtp.tls), ("smtp.example.cn:587", TlsMode::StartTls));
    }

    #[test]
    fn noise_names_no_server() {
        for xml in [
            "",
            "<html>404</html>",
            "<incomingServer type=\"imap\">",
            "<incomingServer type=\"imap\"><hostname>a b</hostname><port>1</port><socketType>SSL</socketType></incomingServer>",
        ] {
            assert_eq!(read(xml, "corp.example.cn"), (None, None), "{xml}");
        }
    }
}
