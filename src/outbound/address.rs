//! How an address is written in an SMTP command, international ones included.

use lettre::Address;

use crate::mail::Mailbox;

/// A domain in A-labels wherever the local part is ASCII; a local part beyond ASCII as it is, where
/// the server offers SMTPUTF8 (RFC 6531 §3.2).
///
/// # Errors
/// A sentence that says why this address cannot be used there.
pub(super) fn for_smtp(mailbox: &Mailbox, international: bool) -> Result<Address, String> {
    let domain = if mailbox.domain().is_ascii() {
        mailbox.domain().to_owned()
    } else {
        idna::domain_to_ascii(mailbox.domain())
            .map_err(|_| format!("not sent: the domain of <{mailbox}> is not valid (IDNA)"))?
    };
    if !mailbox.local().is_ascii() && !international {
        return Err(format!("5.6.7 not sent: <{mailbox}> needs SMTPUTF8, which the server does not offer"));
    }
    Address::new(mailbox.local(), &domain).map_err(|error| format!("5.1.3 not sent: <{mailbox}>: {error}"))
}
